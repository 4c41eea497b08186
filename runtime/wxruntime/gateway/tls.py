"""TLS as the gateway speaks it: 1.3 and nothing older, client certificates, revocation lists."""

from __future__ import annotations

import ssl

from wxruntime.gateway import config

VERIFY = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


class TLSError(Exception):
    """Key or certificates that cannot be used; names the file."""


def server_context(settings: config.TLS) -> ssl.SSLContext:
    """A context from the files as they are now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session would not look at the revocation list again
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise TLSError(f"{settings.certificate} with {settings.key}: {error}") from None
    context.verify_mode = VERIFY[settings.client_certificate]
    for path in (settings.client_ca, settings.crl):
        if path is not None:
            try:
                context.load_verify_locations(cafile=str(path))
            except (OSError, ssl.SSLError) as error:
                raise TLSError(f"{path}: {error}") from None
    if settings.crl is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.set_alpn_protocols(["http/1.1"])
    return context
