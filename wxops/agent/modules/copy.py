"""Files and trees put in their place: from the controller, which sends only what the host lacks, or from the host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes, describe
from wxops.agent.backup import back_up
from wxops.agent.content import digest
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import umask
from wxops.agent.modules.file import file
from wxops.agent.offered import content_from
from wxops.agent.tree import names_in
from wxops.agent.validation import validate as run_validation

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change
    from wxops.agent.content import Content
    from wxops.agent.resources import State

    Result = Dict[str, Any]


def copy(
    change: Change,
    dest: Path,
    src: Path = "",
    remote_src: bool = False,
    backup: bool = False,
    force: bool = True,
    follow: bool = False,
    local_follow: Optional[bool] = None,
    validate: Optional[str] = None,
    checksum: Optional[str] = None,
    mode: Optional[Mode] = None,
    directory_mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    _sent: Optional[Dict[str, Any]] = None,
    _entries: Optional[List[Dict[str, Any]]] = None,
) -> Dict[str, Any]:
    """The host's part of copy and template.

    _sent: one file: {"name", "content" (see offered.py), "sha1"?, "md5"?, "text": written in the playbook}.
    _entries: a tree: files {"path", "content", "mode"?}, directories {"path"}, links {"path", "target"}.
    Neither: from `src` on the host.
    """
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    place = Placing(change, asked, directory_mode, backup, force, validate)
    if _sent is not None:
        return place.sent(dest, src, _sent, checksum, follow)
    if _entries is not None:
        return place.entries(dest, src, _entries, follow)
    source = change.file(src, follow=True)
    if mode == "preserve":
        place.asked = asked.with_mode(source.get("mode"))
    if source["type"] == "file":
        return place.from_host(dest, src, source, checksum, follow)
    if source["type"] == "directory":
        return place.tree_from_host(dest, src, bool(local_follow))
    if source["type"] == "absent":
        raise ModuleFailure("Source %s not found" % src, src=src)
    raise ModuleFailure("Cannot copy invalid source '%s': not a file" % src, src=src)


class Placing:
    """How this task puts files in their place."""

    def __init__(self, change: Change, asked: Attributes, directory_mode: Optional[Mode], backup: bool, force: bool,
                 validation: Optional[str]) -> None:  # fmt: skip
        self.change, self.asked, self.directory_mode = change, asked, directory_mode
        self.backup, self.force, self.validation = backup, force, validation

    def sent(self, dest: str, src: str, sent: Dict[str, Any], expected: Optional[str], follow: bool) -> Result:
        """One file of the controller's."""
        content = content_from(self.change.link, sent["content"])
        path = self._into_directory(dest, sent["name"], sent.get("text", False))
        result: Result = {"src": src}
        if "sha1" in sent:
            result.update(checksum=sent["sha1"], md5sum=sent["md5"])
        if not self.force and self._exists(path, follow):
            return {"dest": path, "src": src}
        path = self.change.real(path) if follow else path
        if self._differs(path, content):
            _expect(expected, sent.get("sha1", ""))
            result.update(self._write(path, content, follow))
        self.asked.set(self.change, path)
        return dict(result, dest=path, **describe(self.change, path))

    def entries(self, dest: str, src: str, entries: List[Dict[str, Any]], follow: bool) -> Result:
        """A tree of the controller's; each file's content is taken when it is needed, and only then."""
        follow = follow and not any("content" not in each and "target" not in each for each in entries)
        for entry in entries:
            path = os.path.join(dest, entry["path"])
            if "content" in entry:
                self._entry(path, entry, follow)
            elif "target" in entry:
                self._special(path, "link", src=entry["target"], mode=self.asked.mode, force=True, follow=follow)
            else:
                self._special(path, "directory", mode=self.directory_mode)
        if len(entries) == 1 and "content" in entries[0]:
            return dict(self._one(os.path.join(dest, entries[0]["path"])), src=src)
        return {"dest": os.path.join(dest, ""), "src": src}

    def _one(self, path: str) -> Result:
        """What Ansible returns of a tree that is one file: as for a file."""
        content = self.change.file(path, follow=True)["content"]
        sums = {"checksum": digest(content.chunks(), "sha1"), "md5sum": digest(content.chunks(), "md5")}
        return dict(sums, dest=path, **describe(self.change, path))

    def _entry(self, path: str, entry: Dict[str, Any], follow: bool) -> None:
        if not self.force and self._exists(path, follow):
            return
        self._make_directories(os.path.dirname(path))
        path = self.change.real(path) if follow else path
        asked, content = self.asked, content_from(self.change.link, entry["content"])
        if "mode" in entry:
            self.asked = asked.with_mode(entry["mode"])
        if self._differs(path, content):
            self._write(path, content, follow)
        self.asked.set(self.change, path)
        self.asked = asked

    def _special(self, path: str, state: Any, **more: Any) -> None:
        """A directory or link, as the module `file` makes it."""
        seuser, serole, setype, selevel = self.asked.label
        file(self.change, path, state, owner=self.asked.owner, group=self.asked.group, attributes=self.asked.flags,
             seuser=seuser, serole=serole, setype=setype, selevel=selevel, **more)  # fmt: skip

    def from_host(self, dest: str, src: str, source: State, expected: Optional[str], follow: bool) -> Result:
        """One file of the host's. What is new keeps its time; what it replaces gets its mode, as in Ansible's."""
        content = source["content"]
        sums = {
            name: digest(content.chunks(), algorithm) for name, algorithm in (("checksum", "sha1"), ("md5sum", "md5"))
        }
        _expect(expected, sums["checksum"])
        path = self._into_directory(dest, os.path.basename(src))
        result: Result = dict(sums, src=src)
        if not self.force and self._exists(path, follow=True):
            return {"dest": path, "src": src, "msg": "file already exists", **describe(self.change, path)}
        if follow and self._exists(path, follow=True):
            path = self.change.real(path)
        if self._differs(path, content):
            replaced = self.change.file(path)["type"] != "absent"
            result.update(self._write(path, content, False, self._inherited(source, replaced)))
        self.asked.set(self.change, path)
        return dict(result, dest=path, **describe(self.change, path))

    def _inherited(self, source: State, replaced: bool) -> State:
        mode = source["mode"] if replaced else 0o666 & ~umask()
        return {"mode": mode, "uid": os.geteuid(), "gid": os.getegid(), **_time_of(source)}

    def tree_from_host(self, dest: str, src: str, follow_links: bool) -> Result:
        """A tree of the host's: what is missing or differs. A mode is for the top directory alone, as in Ansible's."""
        if dest.endswith("/"):
            self._make_directories(dest.rstrip("/"))
        self._parent_must_exist(dest.rstrip("/"))
        told = dest
        if not src.endswith("/"):
            is_new = self.change.file(dest, follow=True)["type"] == "absent"
            if is_new:
                self.change.set("file", self.change.real(dest), self.change.new_directory())
            dest = os.path.join(dest, os.path.basename(src))
            told = told if is_new else dest
        owner = self.change.attributes({"type": "directory"}, None, self.asked.owner, self.asked.group)
        self._tree(self.change.real(src), self.change.real(dest), follow_links, owner)
        self.asked.set(self.change, self.change.real(told))
        return dict(describe(self.change, told), dest=told, src=src, checksum=None, md5sum=None)

    def _tree(self, src: str, dest: str, follow_links: bool, owner: Dict[str, int]) -> None:
        source, now = self.change.file(src), self.change.file(dest)
        if source["type"] == "link" and not follow_links:
            self.change.set("file", dest, dict(owner, type="link", target=source["target"]))
            return
        source = self.change.file(src, follow=True)
        if source["type"] == "directory":
            if now["type"] not in ("absent", "directory"):
                raise ModuleFailure("%s is a %s, and a directory was to be put there" % (dest, now["type"]))
            mode = {"mode": source["mode"]} if now["type"] == "absent" else {}
            self.change.set("file", dest, dict(owner, type="directory", **mode))
            for name in names_in(self.change, src):
                self._tree(os.path.join(src, name), os.path.join(dest, name), follow_links, owner)
        elif source["type"] == "file":
            state: State = dict(owner, type="file")
            if now["type"] != "file" or not source["content"].same(now["content"]):
                state.update(content=source["content"], mode=source["mode"], **_time_of(source))
            self.change.set("file", dest, state)
        else:
            raise ModuleFailure("Cannot copy invalid source '%s': not a file" % src)

    def _into_directory(self, dest: str, name: str, text: bool = False) -> str:
        """The file's own path: in `dest` when that is a directory, or is to be one."""
        if dest.endswith("/"):
            self._make_directories(dest.rstrip("/"))
        if self.change.file(dest, follow=True)["type"] == "directory":
            if text:
                raise ModuleFailure("can not use content with a dir as dest: %s" % dest)
            dest = os.path.join(dest, name)
        self._parent_must_exist(dest)
        return dest

    def _make_directories(self, path: str) -> None:
        if self.change.file(path, follow=True)["type"] == "absent":
            self._make_directories(os.path.dirname(path))
            state = self.change.new_directory(self.directory_mode, self.asked.owner, self.asked.group)
            self.change.set("file", self.change.real(path), state)
            self.asked.set_label_and_flags(self.change, self.change.real(path))

    def _parent_must_exist(self, path: str) -> None:
        parent = os.path.dirname(os.path.abspath(path))
        found = self.change.file(parent, follow=True)["type"]
        if found != "directory" and not self.change.may_come_with_a_package(parent):
            raise ModuleFailure("Destination directory %s does not exist" % parent)

    def _exists(self, path: str, follow: bool) -> bool:
        return bool(self.change.file(path, follow)["type"] != "absent")

    def _differs(self, path: str, content: Content) -> bool:
        now = self.change.file(path)
        return bool(now["type"] != "file" or not content.same(now["content"]))

    def _write(self, path: str, content: Content, follow: bool, inherited: Optional[State] = None) -> Result:
        """Validate, back up, write. Mode and owner are there from the first byte on."""
        result: Result = {}
        if self.validation is not None:
            run_validation(self.change, self.validation, path, content, self.asked)
        copy = back_up(self.change, path) if self.backup else None
        if copy is not None:
            result["backup_file"] = copy
        if inherited is None:
            self.change.write(path, content, self.asked.mode, self.asked.owner, self.asked.group, follow)
        else:
            state: State = dict(inherited, type="file", content=content)
            state.update(self.asked.numbers(self.change, state))
            self.change.set("file", self.change.place(path), state)
        return result


def _time_of(source: State) -> State:
    """When it was written; a file that only a check has was not."""
    return {"mtime_ns": source["mtime_ns"]} if "mtime_ns" in source else {}


def _expect(expected: Optional[str], found: str) -> None:
    if expected and expected != found:
        raise ModuleFailure("Copied file does not match the expected checksum. Transfer failed.", checksum=found,
                            expected_checksum=expected)  # fmt: skip
