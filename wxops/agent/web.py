"""Getting things from web and FTP servers: certificates checked, logins kept to the host they are for."""

from __future__ import annotations

import base64
import email.message
import gzip
import hashlib
import http.client
import http.cookiejar
import netrc
import os
import ssl
import tempfile
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from wxops.agent.content import CHUNK, SMALL, Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.unix_http import UnixConnection

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, List, Optional, Sequence, Tuple

OK = 200
NOT_MODIFIED = 304
SECRET_HEADERS = ("authorization", "cookie")
BODY_HEADERS = ("content-length", "content-type", "transfer-encoding")


class Web:
    """How a task speaks to servers; the names are those of Ansible's arguments."""

    def __init__(
        self,
        timeout: float = 10,
        headers: Optional[Dict[str, Any]] = None,
        unredirected_headers: Sequence[str] = (),
        validate_certs: bool = True,
        url_username: Optional[str] = None,
        url_password: Optional[str] = None,
        force_basic_auth: bool = False,
        use_netrc: bool = True,
        use_proxy: bool = True,
        client_cert: Optional[str] = None,
        client_key: Optional[str] = None,
        ciphers: Sequence[str] = (),
        http_agent: str = "ansible-httpget",
        decompress: bool = True,
        ca_path: Optional[str] = None,
        unix_socket: Optional[str] = None,
        follow_redirects: str = "urllib2",
    ) -> None:
        self.timeout, self.decompress = timeout, decompress
        self.cookies = http.cookiejar.CookieJar()
        self._headers = {"User-Agent": http_agent, **{name: str(value) for name, value in (headers or {}).items()}}
        self._kept = [name.lower() for name in unredirected_headers]
        self._login = (url_username, url_password or "") if url_username else None
        self._at_once, self._netrc = force_basic_auth, use_netrc
        self._tls = _tls(validate_certs, client_cert, client_key, ciphers, ca_path)
        self._handlers: List[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=self._tls), _Redirects(follow_redirects),
            urllib.request.HTTPCookieProcessor(self.cookies)]  # fmt: skip
        if unix_socket:
            self._handlers.append(_OverUnixSocket(unix_socket))
        if not use_proxy:
            self._handlers.append(urllib.request.ProxyHandler({}))

    def get(self, url: str, headers: Optional[Dict[str, str]] = None) -> Answer:
        """Ask for a URL. Raises ModuleFailure when no server answers; a status that is no success is an answer."""
        return self.ask("GET", url, None, headers)

    def ask(self, method: str, url: str, body: Any, headers: Optional[Dict[str, str]] = None) -> Answer:
        """Send a request with a body: bytes, a file, or None."""
        address, login = _without_login(url)
        handlers, own = self._authentication(address, login or self._login)
        try:
            request = urllib.request.Request(address, data=body, headers={}, method=method)
            for name, value in {**self._headers, **own, **(headers or {})}.items():
                add = request.add_unredirected_header if name.lower() in self._kept else request.add_header
                add(name, value)
            opened = urllib.request.build_opener(*self._handlers, *handlers).open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            return Answer(url, error, error.code, str(error), self.decompress)
        except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
            raise ModuleFailure(_reason(error, address), url=masked(url), status_code=-1) from None
        message = "OK (%s bytes)" % opened.headers.get("Content-Length", "unknown")
        return Answer(url, opened, getattr(opened, "status", None) or OK, message, self.decompress)

    def _authentication(
        self, url: str, login: Optional[Tuple[str, str]]
    ) -> Tuple[List[urllib.request.BaseHandler], Dict[str, str]]:
        """Handlers that log in when they are asked to, or the header that does it at once."""
        at_once = self._at_once
        if login is None and self._netrc:
            login, at_once = _login_of_netrc(url), True
        if login is None:
            return [], {}
        if at_once:
            return [], {"Authorization": "Basic " + base64.b64encode(":".join(login).encode()).decode()}
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, url, *login)
        return [urllib.request.HTTPBasicAuthHandler(passwords), urllib.request.HTTPDigestAuthHandler(passwords)], {}


class Answer:
    """What a server answered; its body is read once, as content."""

    def __init__(self, asked: str, opened: Any, status: int, message: str, decompress: bool) -> None:
        self.asked, self.status, self.message = asked, status, message
        self._opened, self._headers = opened, opened.headers
        self._compressed = decompress and self._headers.get("Content-Encoding", "").lower() == "gzip"

    @property
    def url(self) -> str:
        """Where the answer came from, after redirects."""
        return str(self._opened.geturl() or self.asked)

    @property
    def headers(self) -> Dict[str, str]:
        """By their names in lower case; what came more than once is joined."""
        found: Dict[str, str] = {}
        for name, value in self._headers.items():
            found[name.lower()] = ", ".join(filter(None, (found.get(name.lower()), value)))
        return found

    @property
    def size(self) -> Optional[int]:
        """How many bytes will come, where the server says so."""
        length = self._headers.get("Content-Length", "")
        return int(length) if length.isdigit() and not self._compressed else None

    @property
    def filename(self) -> str:
        """The file's name: as the server says, else as the URL does. Never a path."""
        header = email.message.Message()
        header["content-disposition"] = self._headers.get("Content-Disposition", "")
        said = header.get_param("filename", header="content-disposition")
        name = os.path.basename(str(said)) if said else ""
        return name or name_in(self._opened.geturl() or self.asked)

    def content(self, folder: Optional[str] = None) -> Content:
        """The body: in memory when small, else in a file without a name. Raises ModuleFailure when it is cut short."""
        summed = hashlib.sha256()
        spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  the content keeps it
        try:
            with self._opened:
                body: BinaryIO = gzip.GzipFile(fileobj=self._opened) if self._compressed else self._opened  # type: ignore[assignment]
                for chunk in iter(lambda: body.read(CHUNK), b""):
                    summed.update(chunk)
                    spool.write(chunk)
        except (OSError, EOFError, http.client.HTTPException) as error:
            raise ModuleFailure("the download of %s broke off: %s" % (masked(self.asked), error)) from None
        if self.size not in (None, spool.tell()):
            raise ModuleFailure(
                "Incomplete read, %d of %d bytes of %s came" % (spool.tell(), self.size or 0, masked(self.asked))
            )
        if spool.tell() <= SMALL:
            spool.seek(0)
            return Content(spool.read())
        spool.flush()
        return Downloaded(self.asked, spool, summed.hexdigest())

    def close(self) -> None:
        self._opened.close()


class Downloaded(Content):
    """A large download in a file without a name."""

    def __init__(self, url: str, spool: Any, sha256: str) -> None:
        super().__init__(path="/proc/self/fd/%d" % spool.fileno(), spool=spool)
        self._sha256, self._url = sha256, url

    def text(self) -> str:
        return large_from(self._url, self.size)


def large_from(url: str, size: int) -> str:
    """What a diff says of content that is too large to show."""
    return "(%d bytes from %s)\n" % (size, masked(url))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows `all` redirects, those that are `safe` (the request was a GET or HEAD), `none`, or as urllib does.

    Logins and cookies do not follow to another host.
    """

    def __init__(self, policy: str) -> None:
        self.policy = {"yes": "all", "no": "none"}.get(policy, policy)

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        safe = req.get_method() in ("GET", "HEAD")
        if self.policy == "none" or (self.policy == "safe" and not safe):
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        following = (
            super().redirect_request(req, fp, code, msg, headers, newurl)
            if self.policy == "urllib2"
            else _followed(req, code, newurl)
        )
        if following is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            for name in [name for name in following.headers if name.lower() in SECRET_HEADERS]:
                del following.headers[name]
        return following

    def http_error_308(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Python before 3.11 does not know 308."""
        return self.http_error_302(req, fp, code, msg, headers)


def _followed(request: Any, code: int, url: str) -> urllib.request.Request:
    """The request that follows a redirect: 307 and 308 repeat it whole, the others ask again as browsers do."""
    method, body, headers = request.get_method(), request.data, dict(request.headers)
    if code not in (307, 308):
        body = None
        headers = {name: value for name, value in headers.items() if name.lower() not in BODY_HEADERS}
        if (code in (302, 303) and method != "HEAD") or (code == 301 and method == "POST"):
            method = "GET"
    return urllib.request.Request(
        url.replace(" ", "%20"), data=body, headers=headers, origin_req_host=request.origin_req_host,
        unverifiable=True, method=method,
    )  # fmt: skip


class _OverUnixSocket(urllib.request.HTTPHandler):
    """http: through a UNIX socket of the host; the URL's server is only a name."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, timeout: float = 0, **_: Any) -> UnixConnection:
            return UnixConnection(self.path, timeout, host)

        return self.do_open(connection, req)


def name_in(url: str) -> str:
    return os.path.basename(unquote(urlsplit(url).path)) or "index.html"


def masked(url: str) -> str:
    """A URL without its login, for people's eyes."""
    parts = urlsplit(url)
    login, found, server = parts.netloc.rpartition("@")
    if not found:
        return url
    return urlunsplit(parts._replace(netloc=("****:****@" if ":" in login else "****@") + server))


def _without_login(url: str) -> Tuple[str, Optional[Tuple[str, str]]]:
    """A web address, and the login that stood in it. FTP's stays: it is how FTP logs in."""
    parts = urlsplit(url)
    login, found, server = parts.netloc.rpartition("@")
    if not found or not parts.scheme.startswith("http"):
        return url, None
    name, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=server)), (unquote(name), unquote(password))


def _login_of_netrc(url: str) -> Optional[Tuple[str, str]]:
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(url).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return (entry[0], entry[2] or "") if entry else None


def _tls(
    validate: bool, cert: Optional[str], key: Optional[str], ciphers: Sequence[str], ca_path: Optional[str]
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise ModuleFailure("ca_path %s cannot be used: %s" % (ca_path, error)) from None
    if not validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ciphers:
            context.set_ciphers(":".join(ciphers))
        if cert:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ModuleFailure("the client certificate or the ciphers cannot be used: %s" % error) from None
    return context


def _reason(error: Exception, url: str) -> str:
    """Never with the login that FTP's address keeps."""
    reason = getattr(error, "reason", error)
    server = urlsplit(masked(url)).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "Failed to validate the SSL certificate for %s: %s" % (server, reason.verify_message)
    return "Request failed: %s: %s" % (server or masked(url), str(reason).replace(url, masked(url)))
