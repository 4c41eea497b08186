"""TLS as the gateway speaks it: 1.3 and nothing older, client certificates, revocation lists."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from wxruntime.gateway import config

VERIFY = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


class TLSError(Exception):
    """A file that cannot be used; `key` is its name in the configuration."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def server_context(settings: config.TLS) -> ssl.SSLContext:
    """A context from the files as they are now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session would not be held against the revocation list again
    context.verify_mode = VERIFY[settings.client_certificate]
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.certificate, settings.key, _passphrase)
    except (OSError, ssl.SSLError) as error:
        raise TLSError("certificate", f"cannot be used with the key {settings.key}: {_reason(error)}") from None
    for key, path in (("client_ca", settings.client_ca), ("crl", settings.crl)):
        if path is not None:
            try:
                context.load_verify_locations(cafile=str(path))
            except (OSError, ssl.SSLError) as error:
                raise TLSError(key, f"cannot be used: {_reason(error)}") from None
    if settings.crl is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if _expiry(settings.crl) <= time.time():
            raise TLSError("crl", "the list is out of date, and with it no client certificate would be taken")
    return context


def client_context(settings: config.UpstreamTLS | None) -> ssl.SSLContext:
    """For connections to an engine: TLS 1.2 or newer, since engines are not ours to choose."""
    context = ssl.create_default_context()
    if settings is None:
        return context
    if settings.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=str(settings.ca))
        except (OSError, ssl.SSLError) as error:
            raise TLSError("ca", f"{settings.ca} cannot be used: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        try:
            context.load_cert_chain(settings.certificate, settings.key, _passphrase)
        except (OSError, ssl.SSLError) as error:
            raise TLSError("certificate", f"{settings.certificate} cannot be used: {_reason(error)}") from None
    return context


def edge_context(settings: config.EdgeTLS) -> ssl.SSLContext:
    """For an edge's line to its center: TLS 1.3 and nothing older, as both ends are ours."""
    context = client_context(config.UpstreamTLS(ca=settings.ca, certificate=settings.certificate, key=settings.key))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


def watch_handshakes(context: ssl.SSLContext, failed: Callable[[str], None]) -> None:
    """Have `failed` called with the reason of each handshake that fails: the event loop keeps that to itself."""

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                failed(getattr(error, "verify_message", "") or error.reason or "not TLS")
                raise

    context.sslobject_class = Watched


def _expiry(crl: Path) -> float:
    """When the first of a file's lists is out of date, in seconds since 1970."""
    try:
        lists = _lists(crl)
    except ValueError as error:
        raise TLSError("crl", f"cannot be used: {error}") from None
    if not lists:
        raise TLSError("crl", "holds no revocation list, and without one no client certificate would be taken")
    nexts = [each.next_update_utc for each in lists]
    return min((each.timestamp() for each in nexts if each is not None), default=float("inf"))


class Trust:
    """Whom connections that are open already may still belong to, after the files have changed."""

    def __init__(self, settings: config.TLS) -> None:
        self._issuers = {each.subject for each in _certificates(settings.client_ca)} if settings.client_ca else set()
        lists = _lists(settings.crl) if settings.crl else []
        self._revoked = {(each.issuer, entry.serial_number) for each in lists for entry in each}

    def holds(self, der: bytes) -> bool:
        """Whether a certificate that was taken once would not be refused for its issuer or number now."""
        certificate = x509.load_der_x509_certificate(der)
        issuer = certificate.issuer
        return issuer in self._issuers and (issuer, certificate.serial_number) not in self._revoked


def _certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def _lists(path: Path) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----"
    parts = path.read_bytes().split(end)[:-1]
    return [x509.load_pem_x509_crl(part[part.index(b"-----BEGIN") :] + end + b"\n") for part in parts]


def _passphrase() -> str:
    """Nobody is there to be asked for one."""
    raise OSError("it is encrypted; a gateway needs it without a passphrase, readable for nobody else")


def _reason(error: OSError) -> str:
    return (isinstance(error, ssl.SSLError) and error.reason) or error.strerror or str(error)
