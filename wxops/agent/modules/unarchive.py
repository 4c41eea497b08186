"""An archive unpacked: every member compared with what is on disk, and written only if that differs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.archives.member import refuse_outside, refuse_unsafe
from wxops.agent.archives.options import Options
from wxops.agent.archives.tar import TarArchive
from wxops.agent.archives.unpacked import new_content
from wxops.agent.archives.zip import MAGIC, ZipArchive
from wxops.agent.attributes import Attributes, describe
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import umask
from wxops.agent.offered import OfferedContent, content_from
from wxops.agent.web import OK, Web, masked

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, List, Optional, Tuple

    from wxops.agent.archives.member import Archive, Member
    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change
    from wxops.agent.content import Content
    from wxops.agent.resources import State


def unarchive(
    change: Change,
    dest: Path,
    src: Path,
    remote_src: bool = False,
    creates: Optional[Path] = None,
    list_files: bool = False,
    keep_newer: bool = False,
    exclude: Optional[List[str]] = None,
    include: Optional[List[str]] = None,
    extra_opts: Optional[List[str]] = None,
    validate_certs: bool = True,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    _content: Optional[Dict[str, Any]] = None,
) -> Dict[str, Any]:
    """The host's part of unarchive. _content: the controller's archive (see offered.py); else `src` on the host."""
    if creates and change.file(creates, follow=True)["type"] != "absent":
        return {"skipped": True, "msg": "skipped, since %s exists" % creates}
    if change.file(dest, follow=True)["type"] != "directory":
        # `failed_when` is not asked, as with Ansible, where the controller looks at dest.
        raise ModuleFailure("dest '%s' must be an existing dir" % dest, dest=dest, _not_judged=True)
    folder = None if change.check else change.real(dest)
    content = _sent(change, _content, folder) if _content else _source(change, src, validate_certs, folder)
    if content.size == 0:
        raise ModuleFailure("Invalid archive '%s', the file is 0 bytes" % src)
    archive, options = _opened(content, src, include or [], exclude or [], extra_opts or [])
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    names = Unpacking(change, dest, archive, options, asked, keep_newer).run()
    result = dict(describe(change, change.real(dest)), dest=dest, src=masked(src), handler=archive.handler)
    return dict(result, files=names) if list_files else result


def _sent(change: Change, sent: Dict[str, Any], folder: Optional[str]) -> Content:
    content = content_from(change.link, sent)
    return content.keep(folder) if isinstance(content, OfferedContent) else content


def _source(change: Change, src: str, validate_certs: bool, folder: Optional[str]) -> Content:
    if "://" in src:
        answer = Web(validate_certs=validate_certs).get(src)
        if answer.status != OK:
            raise ModuleFailure("Failure downloading %s, %s" % (masked(src), answer.message))
        return answer.content(folder)
    state = change.file(src, follow=True)
    if state["type"] != "file":
        raise ModuleFailure("Source '%s' %s" % (src, "does not exist" if state["type"] == "absent" else "is no file"))
    content: Content = state["content"]
    return content


def _opened(
    content: Content, src: str, include: List[str], exclude: List[str], extra: List[str]
) -> Tuple[Archive, Options]:
    with content.open() as file:
        zipped = file.read(4) in MAGIC
    options = Options(include, exclude, extra, zipped)
    if zipped:
        return ZipArchive(content, src), options
    archive = TarArchive(content, src, options.numeric)
    archive.sets_owner = os.geteuid() == 0 and options.keep_owner
    return archive, options


class Unpacking:
    """One archive on its way into one directory."""

    def __init__(self, change: Change, dest: str, archive: Archive, options: Options, asked: Attributes,
                 keep_newer: bool) -> None:  # fmt: skip
        self.change, self.dest, self.archive, self.options = change, change.real(dest), archive, options
        self.asked, self.keep_newer = asked, keep_newer

    def run(self) -> List[str]:
        """Unpack; returns the names of all that was to be unpacked."""
        members = [member for member, _ in self.archive.read()]
        refuse_unsafe(members)
        names = [name for name in map(self._name, members) if name is not None]
        for name in names:  # an option may have renamed it
            refuse_outside(name, name)
        if self.options.missing():
            raise ModuleFailure("not in the archive: %s" % ", ".join(self.options.missing()))
        if not names:
            raise ModuleFailure("there is nothing to unpack in the archive")
        for member, stream in self.archive.read():
            place = self._name(member)
            if place is not None:
                self._unpack(member, os.path.normpath(os.path.join(self.dest, place)), stream)
        if self.asked.any():
            for top in sorted({name.split("/")[0] for name in names if "/" in name}):
                self.asked.set(self.change, os.path.join(self.dest, top))
        return names

    def _name(self, member: Member) -> Optional[str]:
        return self.options.renamed(member.name) if self.options.wanted(member.name) else None

    def _unpack(self, member: Member, path: str, stream: Optional[BinaryIO]) -> None:
        self._make_parents(os.path.dirname(path))
        path = self.change.place(path)
        now = self.change.file(path)
        if member.kind == "hard":
            self._hard_link(path, member)
        elif member.kind == "file":
            assert stream is not None
            self._file(path, member, stream, now)
        elif member.kind == "link":
            self._not_a_directory(path, now)
            self.change.set("file", path, dict(self._owner(member), type="link", target=member.target))
        else:
            self._directory(path, member, now)
        self.asked.set_label_and_flags(self.change, path)

    def _file(self, path: str, member: Member, stream: BinaryIO, now: State) -> None:
        self._not_a_directory(path, now)
        state: State = dict(self._owner(member), type="file", mode=self._mode(member))
        if not (self.keep_newer and self._newer(now, member)):
            folder = None if self.change.check else os.path.dirname(path)
            content = new_content(self.archive, member.name, stream, member.size, now.get("content"), folder)
            state["mtime_ns"] = member.mtime_ns
            if content is not None:
                state["content"] = content
        self.change.set("file", path, state)

    def _newer(self, now: State, member: Member) -> bool:
        """tar keeps a file of the same age too."""
        if now["type"] != "file" or "mtime_ns" not in now:
            return False
        return bool(now["mtime_ns"] > member.mtime_ns - (0 if self.options.zipped else 1))

    def _not_a_directory(self, path: str, now: State) -> None:
        if now["type"] == "directory":
            raise ModuleFailure("%s is a directory, and something else of the archive was to be put there" % path)

    def _directory(self, path: str, member: Member, now: State) -> None:
        """unzip goes through a link to a directory; tar puts a directory in its place."""
        if now["type"] == "link" and self.options.zipped:
            path = self.change.real(path)
        elif now["type"] not in ("absent", "directory", "link"):
            raise ModuleFailure("%s is a %s, and a directory of the archive was to be put there" % (path, now["type"]))
        self.change.set("file", path, dict(self._owner(member), type="directory", mode=self._mode(member)))

    def _hard_link(self, path: str, member: Member) -> None:
        source = self.change.place(os.path.join(self.dest, self.options.renamed(member.target) or member.target))
        if self.change.file(source)["type"] != "file":
            raise ModuleFailure("%s in the archive is a link to %s, which is not there" % (member.name, member.target))
        pending = self.change.view.overlay.get(("file", path), {})
        same = os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(source))
        if not same and pending.get("target") != source:
            self.change.set("file", path, {"type": "hard", "target": source})

    def _mode(self, member: Member) -> int:
        if self.asked.mode is not None:
            now = {"type": member.kind, "mode": member.mode}
            return self.change.attributes(now, self.asked.mode, None, None)["mode"]
        return member.mode if os.geteuid() == 0 or self.options.zipped else member.mode & 0o777 & ~umask()

    def _owner(self, member: Member) -> Dict[str, int]:
        owner = {"uid": member.uid, "gid": member.gid}
        known = {name: number for name, number in owner.items() if number is not None}
        return {**known, **self.change.attributes({"type": member.kind}, None, self.asked.owner, self.asked.group)}

    def _make_parents(self, path: str) -> None:
        """Directories that the archive implies and does not hold."""
        if self.change.file(path, follow=True)["type"] == "absent":
            self._make_parents(os.path.dirname(path))
            self.change.set("file", self.change.real(path), self.change.new_directory())
