"""A registry asked over the OCI distribution API: the manifests and blobs of one repository, checked by their digests.

Trust is Docker's: the public authorities, REQUESTS_CA_BUNDLE, and /etc/docker/certs.d/REGISTRY/*.crt; http only with a
registry on this machine that speaks no TLS. The login is the one that `docker login` left here; it goes over TLS, or
does not leave this machine.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import docker.auth
import docker.errors
import msgspec
import requests
import requests.adapters
import requests.utils
from urllib3.util import create_urllib3_context

from wxops.audit.image_reference import DOCKER_HUB, Reference, is_loopback
from wxops.errors import InputError

ACCEPT = ", ".join((
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip
CONNECT_S, ANSWER_S, WHOLE_S = 5, 15, 60
LARGEST = 4 << 20
"""Bytes of a manifest or a configuration: what a registry must accept, as the distribution specification has it."""
CERTIFICATES = Path("/etc/docker/certs.d")
T = TypeVar("T")


class _Bearer(requests.auth.AuthBase):
    """Sets the header that we have, or none; without one of ours, requests would take what ~/.netrc has."""

    def __init__(self, header: str) -> None:
        self.header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.header:
            request.headers["Authorization"] = self.header
        return request


class _Trusting(requests.adapters.HTTPAdapter):
    """Trusts the authorities in some files, besides those that requests trusts."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **words: Any) -> None:
        super().init_poolmanager(*arguments, **words, ssl_context=self.context)


class Registry:
    """One repository in a registry, for as long as one image is read."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.where = reference, f"--image {reference.name}"
        self.base = f"https://{reference.address}"
        self.authorization = ""
        self.until = time.monotonic() + WHOLE_S
        self.session = requests.Session()
        if own := sorted((CERTIFICATES / reference.registry).glob("*.crt")):
            self.session.mount(f"{self.base}/", _Trusting(self._context(own)))

    def _context(self, authorities: list[Path]) -> ssl.SSLContext:
        context: ssl.SSLContext = create_urllib3_context()
        context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
        for path in authorities:
            try:
                context.load_verify_locations(path)
            except OSError as error:
                why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
                raise InputError(f"{path} cannot be read: {why}", where=self.where, fix="mend or remove it") from None
        return context

    def manifest(self, version: str) -> bytes:
        """An index or a manifest, by its tag; by its digest, only those very bytes. Raises InputError, as all here."""
        raw = self._get(f"manifests/{version}", ACCEPT)
        return self._verified(raw, version) if version.startswith("sha256:") else raw

    def blob(self, digest: str) -> bytes:
        return self._verified(self._get(f"blobs/{digest}", "*/*"), digest)

    def _verified(self, raw: bytes, digest: str) -> bytes:
        found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if found != digest:
            told = f"{self.reference.registry} gave bytes with digest {found} for {digest}"
            raise InputError(told, where=self.where, fix="do not deploy from it before you know why; ask who runs it")
        return raw

    def decoded(self, raw: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            told = f"what {self.reference.registry} gives is no image of Docker's or OCI's: {error}"
            raise InputError(told, where=self.where, fix="is this an image, and this its registry?") from None

    # Asking

    def _get(self, path: str, accept: str) -> bytes:
        address = f"/v2/{self.reference.repository}/{path}"
        with self._ask(address, accept) as answer:
            if answer.status_code != 401:
                return self._body(answer)
            challenge = answer.headers.get("WWW-Authenticate", "")
        self.authorization = self._authorize(challenge)
        with self._ask(address, accept) as answer:
            return self._body(answer)

    def _ask(self, address: str, accept: str) -> requests.Response:
        headers = {"Accept": accept, "Accept-Encoding": "identity"}

        def ask() -> requests.Response:
            auth = _Bearer(self.authorization)
            return self.session.get(
                self.base + address, headers=headers, auth=auth, stream=True, timeout=(CONNECT_S, ANSWER_S)
            )

        try:
            return ask()
        except requests.ConnectionError as error:
            if not (self.reference.loopback and self.base.startswith("https:")) or _certificate(error):
                raise self._silent(error) from None
        except OSError as error:
            raise self._silent(error) from None
        self.base = f"http://{self.reference.address}"  # it is on this machine, and speaks no TLS
        return self._or_silent(ask)

    def _or_silent(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except OSError as error:  # those of requests are
            raise self._silent(error) from None

    def _silent(self, error: OSError) -> InputError:
        fix = "is the name right, and does the registry run?"
        if _certificate(error):
            fix = f"lay its authority's certificate into {CERTIFICATES / self.reference.registry}/ca.crt"
            fix += ", or name it in REQUESTS_CA_BUNDLE"
        return InputError(f"{self.reference.registry} does not answer: {_why(error)}", where=self.where, fix=fix)

    def _body(self, answer: requests.Response) -> bytes:
        if answer.status_code != 200:
            raise self._refused(answer.status_code)
        return self._or_silent(lambda: b"".join(self._pieces(answer)))

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        size = 0
        for piece in answer.iter_content(64 << 10):
            size += len(piece)
            if size > LARGEST:
                raise InputError(f"{self.reference.registry} gives more than {LARGEST >> 20} MiB where an image has "
                                 "some KiB", where=self.where, fix="is this its registry?")  # fmt: skip
            if time.monotonic() > self.until:
                raise requests.Timeout
            yield piece

    def _refused(self, status: int) -> InputError:
        registry, known = self.reference.registry, bool(self.authorization)
        told = {
            401: f"{registry} refuses the login that is here" if known else f"{registry} wants a login",
            403: f"{registry} does not let this login read it" if known else f"{registry} lets only logins read it",
            404: f"{registry} has no {self.reference.repository} with {self.reference.version}",
            429: f"{registry} has been asked too often from here",
        }.get(status, f"{registry} answers with HTTP status {status}")
        fix = {
            404: "look whether name, tag and registry are right; some registries say so where a login is missing",
            429: "wait, or `docker login`",
        }.get(status, f"`docker login {registry}` as the user who runs wxops" if status in (401, 403) else "ask later")
        return InputError(told, where=self.where, fix=fix)

    # Logging in

    def _authorize(self, challenge: str) -> str:
        """The header that a registry's challenge asks for."""
        kind, _, rest = challenge.partition(" ")
        asked = {key.lower(): value for key, value in re.findall(r'(\w+)="([^"]*)"', rest)}
        login = self._login()
        if kind.lower() == "bearer" and asked.get("realm"):
            return f"Bearer {self._token(asked, login)}"
        if kind.lower() == "basic" and login.get("password"):
            return _basic(login)
        raise self._refused(401)

    def _token(self, asked: dict[str, str], login: dict[str, str]) -> str:
        """From the token service that the registry names; anonymous without a login."""
        service = urlsplit(asked["realm"])
        if service.scheme != "https" and not is_loopback(service.hostname or ""):
            told = f"{self.reference.registry} names a token service without TLS"
            raise InputError(told, where=self.where, fix="ask who runs it; no login is sent in the clear")
        query = {"service": asked.get("service", ""),
                 "scope": asked.get("scope") or f"repository:{self.reference.repository}:pull"}  # fmt: skip
        often: dict[str, Any] = {"timeout": (CONNECT_S, ANSWER_S), "allow_redirects": False, "stream": True}

        def ask() -> requests.Response:
            if token := login.get("identity"):
                form = {**query, "grant_type": "refresh_token", "client_id": "wxops", "refresh_token": token}
                return self.session.post(asked["realm"], data=form, auth=_Bearer(""), **often)
            auth = _Bearer(_basic(login) if login.get("password") else "")
            return self.session.get(asked["realm"], params=query, auth=auth, **often)

        with self._or_silent(ask) as answer:
            if answer.status_code in (401, 403):
                self.authorization = "refused" if login else ""
                raise self._refused(401)
            given = self.decoded(self._body(answer), dict[str, Any])
        token = given.get("token") or given.get("access_token")
        if not (isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token)):
            told = f"the token service of {self.reference.registry} gives no token"
            raise InputError(told, where=self.where, fix="ask who runs it")
        return token

    def _login(self) -> dict[str, str]:
        """What `docker login` left: username and password, or identity; empty where there was none."""
        registry = None if self.reference.registry == DOCKER_HUB else self.reference.registry
        try:
            found = docker.auth.load_config().resolve_authconfig(registry) or {}
        except (docker.errors.DockerException, OSError, ValueError):  # their words may hold a login
            told = f"the login for {self.reference.registry} in Docker's config.json cannot be read"
            raise InputError(told, where=self.where, fix=f"`docker login {self.reference.registry}` again") from None
        login = {key.lower(): value for key, value in found.items() if isinstance(value, str)}
        if login.get("identitytoken"):
            return {"identity": login["identitytoken"]}
        return {key: login[key] for key in ("username", "password")} if login.get("password") else {}


def _basic(login: dict[str, str]) -> str:
    return "Basic " + base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _certificate(error: BaseException) -> str:
    """Why a certificate is not trusted; "" where that is not what is wrong."""
    found = next((each for each in _chain(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
    return f"its certificate is not trusted: {found.verify_message}" if found else ""


def _why(error: OSError) -> str:
    """The innermost reason in words. The errors' own texts hold addresses, of proxies with their logins, too."""
    if isinstance(error, requests.Timeout) or any(isinstance(each, TimeoutError) for each in _chain(error)):
        return f"it took longer than {CONNECT_S} s to connect, {ANSWER_S} s to answer or {WHOLE_S} s in all"
    if told := _certificate(error):
        return told
    words = [each.strerror for each in _chain(error) if isinstance(each, OSError) and isinstance(each.strerror, str)]
    return words[-1] if words else type(error).__name__
