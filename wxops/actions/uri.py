"""A request to a web service, made by the host; the files that it sends may be the controller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from wxops.actions import Call
from wxops.actions._content import find, packed, read

if TYPE_CHECKING:
    from wxops.agent.arguments import Mode, Path

ALIASES = {"user": "url_username", "password": "url_password", "attr": "attributes"}


def prepare(
    call: Call,
    url: str,
    method: str = "GET",
    body: Any = None,
    body_format: Literal["raw", "json", "form-urlencoded", "form-multipart"] = "raw",
    src: str | None = None,
    remote_src: bool = False,
    headers: dict[str, Any] | None = None,
    status_code: list[int] | None = None,
    return_content: bool = False,
    dest: Path | None = None,
    creates: Path | None = None,
    removes: Path | None = None,
    timeout: int = 30,
    follow_redirects: Literal["all", "no", "none", "safe", "urllib2", "yes"] = "safe",
    force: bool = False,
    force_basic_auth: bool = False,
    url_username: str | None = None,
    url_password: str | None = None,
    use_netrc: bool = True,
    use_proxy: bool = True,
    unix_socket: Path | None = None,
    http_agent: str = "ansible-httpget",
    unredirected_headers: list[str] | None = None,
    decompress: bool = True,
    validate_certs: bool = True,
    ca_path: Path | None = None,
    client_cert: Path | None = None,
    client_key: Path | None = None,
    ciphers: list[str] | None = None,
    mode: Mode | None = None,
    owner: str | None = None,
    group: str | None = None,
    attributes: str | None = None,
    seuser: str | None = None,
    serole: str | None = None,
    setype: str | None = None,
    selevel: str | None = None,
    unsafe_writes: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Ask a web service something, from the host. In check mode nothing is asked.

    Returns status, url (after redirects), redirected, msg, elapsed, cookies, the answer's headers in lower case with
    `_` for `-`, json when the answer is JSON, content on demand.

    url: http or https.
    method: GET, POST, PUT, PATCH, DELETE, HEAD...
    body: text; or what `body_format` makes text of.
    body_format: json, form-urlencoded (a mapping or a list of pairs), form-multipart (a mapping of fields: a text, or
        content, filename, mime_type), raw.
    src: a file to send as the body, looked for in files/.
    remote_src: src and the files of a form are on the host.
    headers: sent with the request.
    status_code: those that are a success; 200 by default. -1 stands for no answer.
    return_content: return the answer's body as `content`.
    dest: a file, or a directory, for the answer's body; asked for only if the server has a newer one.
    creates: a path; when it exists nothing is asked.
    removes: a path; when it does not exist nothing is asked.
    timeout: seconds to wait for the server.
    follow_redirects: safe (after GET and HEAD), all, none, urllib2.
    force: ask for it even if nothing is newer.
    force_basic_auth: send the login before the server asks.
    url_username: the login, sent when the server asks.
    url_password: its password.
    use_netrc: take a login from ~/.netrc.
    use_proxy: use the proxy that the environment names.
    unix_socket: a socket of the host to ask through; the URL is then http://anything/path.
    http_agent: what to say one is.
    unredirected_headers: names of headers that are not sent on to where the server redirects.
    decompress: unpack what the server compressed on the way.
    validate_certs: check the server's certificate.
    ca_path: a file of the host with the CA's certificate.
    client_cert: a file with a certificate to show, and perhaps its key.
    client_key: a file with its key.
    ciphers: of TLS, as OpenSSL names them.
    mode: of dest: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: of dest: a user's name or number.
    group: of dest: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    asked = {name: value for name, value in locals().items() if name != "call"}  # as written; nothing else is named yet
    asked = {name: value for name, value in asked.items() if name not in ("remote_src", "unsafe_writes")}
    if remote_src:
        return "uri", asked
    if src is not None:
        asked["_content"] = _from_here(call, src)
    elif body_format == "form-multipart" and isinstance(body, dict):
        asked["body"] = {name: _with_file(call, field) for name, field in body.items()}
    return "uri", asked


def _from_here(call: Call, name: str) -> dict[str, Any]:
    return packed(call, read(call, find(call, name, "files"), decrypt=False))


def _with_file(call: Call, field: Any) -> Any:
    """A form's field with the file that it names."""
    if isinstance(field, dict) and field.get("filename") and not field.get("content"):
        return {**field, "_content": _from_here(call, field["filename"])}
    return field
