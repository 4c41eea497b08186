"""A file downloaded from a server, when the host does not have it yet or the server has a newer one."""

from __future__ import annotations

import hashlib
import os
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes, describe
from wxops.agent.backup import back_up
from wxops.agent.content import SMALL, Content, digest
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import NOT_MODIFIED, OK, Web, large_from, masked, name_in

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, List, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change
    from wxops.agent.resources import State
    from wxops.agent.web import Answer

    Result = Dict[str, Any]

ALIASES = {"username": "url_username", "password": "url_password", "attr": "attributes"}
BSD_LINE = re.compile(r"^\w+ ?\((?P<name>.+)\) ?= (?P<digest>\w+)$")
GNU_LINE = re.compile(r"^(?P<digest>\w+)\s+\*?(?:\./)?(?P<name>.+)$")


def get_url(
    change: Change,
    url: str,
    dest: Path,
    force: bool = False,
    checksum: str = "",
    backup: bool = False,
    tmp_dest: Optional[Path] = None,
    timeout: int = 10,
    headers: Optional[Dict[str, Any]] = None,
    unredirected_headers: Optional[List[str]] = None,
    validate_certs: bool = True,
    url_username: Optional[str] = None,
    url_password: Optional[str] = None,
    force_basic_auth: bool = False,
    use_netrc: bool = True,
    use_proxy: bool = True,
    use_gssapi: bool = False,
    client_cert: Optional[Path] = None,
    client_key: Optional[Path] = None,
    ciphers: Optional[List[str]] = None,
    http_agent: str = "ansible-httpget",
    decompress: bool = True,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
) -> Dict[str, Any]:
    """Download a file. One that is there is downloaded again only if the server has a newer one, or on demand.

    url: http, https, ftp or file.
    dest: where; in a directory it gets the name that the server gives it, and is always downloaded.
    force: download it even if it is there.
    checksum: ALGORITHM:DIGEST that it must have, or ALGORITHM:URL of a file with such digests; a file that has it
        already is not downloaded.
    backup: keep a copy of a file that is replaced, beside it.
    tmp_dest: the directory where it lies, without a name, until it is complete; by default its own.
    timeout: seconds to wait for the server.
    headers: sent with the request.
    unredirected_headers: names of headers that are not sent on to where the server redirects.
    validate_certs: check the server's certificate.
    url_username: the login, sent when the server asks.
    url_password: its password.
    force_basic_auth: send the login before the server asks.
    use_netrc: take a login from ~/.netrc.
    use_proxy: use the proxy that the environment names.
    use_gssapi: not supported: logins by Kerberos need a library that hosts do not have.
    client_cert: a file with a certificate to show, and perhaps its key.
    client_key: a file with its key.
    ciphers: of TLS, as OpenSSL names them.
    http_agent: what to say one is.
    decompress: unpack what the server compressed on the way.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if use_gssapi:
        raise ModuleFailure(
            "use_gssapi needs a Kerberos library that this agent does not carry: use a login", url=masked(url)
        )
    web = Web(
        timeout, headers, unredirected_headers or (), validate_certs, url_username, url_password, force_basic_auth,
        use_netrc, use_proxy, client_cert, client_key, ciphers or (), http_agent, decompress,
    )  # fmt: skip
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    return Download(change, web, url, dest, Checksum(checksum, url, web), asked, backup, tmp_dest).run(force)


class Checksum:
    """The digest that a download must have; false when none is asked for."""

    def __init__(self, text: str, url: str, web: Web) -> None:
        self.algorithm, found, value = text.partition(":")
        if text and not found:
            raise ModuleFailure("The checksum parameter has to be in format <algorithm>:<checksum>, not %r" % text)
        if re.match(r"(https?|ftp|file):", value):
            value = _listed(value, name_in(url), web)
        self.value = re.sub(r"\W+", "", value).lower()
        if text and not re.match("^[0-9a-f]+$", self.value):
            raise ModuleFailure("The checksum format is invalid: %r is no hexadecimal number" % value)
        if text and self.algorithm not in hashlib.algorithms_available:
            raise ModuleFailure("this host has no checksum algorithm %r" % self.algorithm)

    def __bool__(self) -> bool:
        return bool(self.value)

    def of(self, content: Content) -> str:
        return content.sha256 if self.algorithm == "sha256" else digest(content.chunks(), self.algorithm)


def _listed(url: str, name: str, web: Web) -> str:
    """A file's digest from a list such as sha256sum(1) writes, or that holds one digest alone."""
    answer = web.get(url)
    if answer.status != OK:
        raise ModuleFailure("Request failed", status_code=answer.status, response=answer.message, url=masked(url))
    lines = answer.content().read().decode("utf-8", "replace").splitlines()
    if len(lines) == 1 and len(lines[0].split()) == 1:
        return lines[0].strip()
    for line in lines:
        match = BSD_LINE.match(line) or GNU_LINE.match(line)
        if match and match.group("name") == name:
            return match.group("digest")
    raise ModuleFailure("Unable to find a checksum for file '%s' in '%s'" % (name, masked(url)))


class Download:
    """One URL on its way to one place."""

    def __init__(self, change: Change, web: Web, url: str, dest: str, checksum: Checksum, asked: Attributes,
                 backup: bool, tmp_dest: Optional[str]) -> None:  # fmt: skip
        self.change, self.web, self.url, self.dest, self.checksum = change, web, url, dest, checksum
        self.asked, self.backup, self.tmp_dest = asked, backup, tmp_dest
        self.started = time.time()

    def run(self, force: bool) -> Result:
        now = self.change.file(self.dest, follow=True)
        wrong = (
            bool(self.checksum) and now["type"] == "file" and self.checksum.of(now["content"]) != self.checksum.value
        )
        if self.checksum and now["type"] == "file" and not wrong and not force:
            return self._is_there()
        answer = self.web.get(self.url, self._conditions(now, force or wrong))
        if answer.status == NOT_MODIFIED:
            return dict(self._told(answer), dest=self.dest, changed=False)
        if answer.status != OK:
            raise ModuleFailure(
                "Request failed", dest=self.dest, response=answer.message, **self._told(answer, ("msg",))
            )
        if now["type"] == "directory":
            self.dest = os.path.join(self.dest, answer.filename)
        self.change.parent_must_exist(os.path.abspath(self.dest))
        return self._take(answer)

    def _is_there(self) -> Result:
        self.asked.set(self.change, self.dest)
        message = "file already exists but file attributes changed" if self.change.changed else "file already exists"
        return dict(describe(self.change, self.dest), dest=self.dest, url=masked(self.url), msg=message, elapsed=0)

    def _conditions(self, now: State, anew: bool) -> Dict[str, str]:
        """Ask only for what is newer than what is there."""
        if anew:
            return {"Cache-Control": "no-cache"}
        if now["type"] != "file" or "mtime_ns" not in now:
            return {}
        return {"If-Modified-Since": formatdate(now["mtime_ns"] // 10**9, usegmt=True)}

    def _take(self, answer: Answer) -> Result:
        before = self.change.file(self.dest, follow=True).get("content")
        content = self._promised(answer, before) if self.change.check else self._downloaded(answer)
        result = dict(self._told(answer), checksum_src=_sha1(content), checksum_dest=_sha1(before), dest=self.dest)
        if before is None or not content.same(before):
            copy = back_up(self.change, self.dest) if self.backup else None
            if copy is not None:
                result["backup_file"] = copy
            self._write(content)
        self.asked.set(self.change, self.dest)
        if not isinstance(content, Promised):
            result["md5sum"] = digest(content.chunks(), "md5")
        return dict(result, **describe(self.change, self.dest))

    def _downloaded(self, answer: Answer) -> Content:
        content = answer.content(self._folder())
        if self.checksum and self.checksum.of(content) != self.checksum.value:
            raise ModuleFailure(
                "The checksum for %s did not match %s; it was %s."
                % (masked(self.url), self.checksum.value, self.checksum.of(content)), dest=self.dest,
            )  # fmt: skip
        return content

    def _promised(self, answer: Answer, before: Optional[Content]) -> Content:
        """In check mode a large file of another size is not downloaded: it is another one."""
        size = answer.size
        if size is None or size <= SMALL or (before is not None and before.size == size):
            return self._downloaded(answer)
        answer.close()
        if self.checksum:
            self.change.warnings.append("check mode does not download %d bytes to verify their checksum" % size)
        return Promised(self.web, self.url, size)

    def _folder(self) -> Optional[str]:
        if self.tmp_dest is None:
            return None if self.change.check else os.path.dirname(self.change.real(self.dest))
        if not os.path.isdir(self.tmp_dest):
            what = (
                "is a file but should be a directory" if os.path.exists(self.tmp_dest) else "directory does not exist"
            )
            raise ModuleFailure("%s %s." % (self.tmp_dest, what))
        return self.tmp_dest

    def _write(self, content: Content) -> None:
        """In the place of a link, with the mode and owner of what it led to: as Ansible's."""
        asked, known = self.asked, self.change.file(self.dest, follow=True)
        mode, uid, gid = asked.mode, asked.owner, asked.group
        if known["type"] == "file" and self.change.file(self.dest)["type"] == "link":
            mode, uid, gid = mode or known["mode"], uid or str(known["uid"]), gid or str(known["gid"])
        self.change.write(self.dest, content, mode, uid, gid, follow=False)

    def _told(self, answer: Answer, without: Any = ()) -> Result:
        status = None if re.match("(file|ftp):", self.url) else answer.status
        told = {"url": masked(self.url), "status_code": status, "msg": answer.message,
                "elapsed": int(time.time() - self.started)}  # fmt: skip
        return {name: value for name, value in told.items() if name not in without}


class Promised(Content):
    """What a server would send: downloaded only if a later task of the check reads it."""

    def __init__(self, web: Web, url: str, size: int) -> None:
        self.data = self.path = None
        self.size, self._web, self._url = size, web, url
        self._sha256 = ""

    def open(self) -> BinaryIO:
        return self._web.get(self._url).content().open()

    def text(self) -> str:
        return large_from(self._url, self.size)


def _sha1(content: Optional[Content]) -> Optional[str]:
    if content is None or isinstance(content, Promised):
        return None
    return digest(content.chunks(), "sha1")
