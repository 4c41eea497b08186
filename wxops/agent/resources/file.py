"""Files, directories and links: their bytes, mode, owner and target, replaced in one atomic step."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from wxops.agent.content import SMALL, Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.names import group_name, user_name
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

ABSENT: State = {"type": "absent"}
TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFBLK: "block", stat.S_IFCHR: "char"}  # fmt: skip


class FileKind(Kind):
    """A path. States: {"type": "absent"}, or type, mode, uid, gid and

    file: content (a Content), mtime_ns; link: target; hard: target (another name of that file).
    """

    def read(self, name: str, view: View) -> State:
        try:
            found = os.lstat(name)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        kind = TYPES[stat.S_IFMT(found.st_mode)]
        state: State = {"type": kind, "mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}
        if kind == "link":
            state["target"] = os.readlink(name)
        elif kind == "file":
            state.update(content=Content.of_file(name), mtime_ns=found.st_mtime_ns)
        return state

    def same(self, now: State, wanted: State) -> bool:
        if "kept" in wanted:
            return False
        if wanted["type"] == "link" == now["type"]:
            return all(now[key] == wanted[key] for key in ("target", "uid", "gid") if key in wanted)
        for key, value in wanted.items():
            if key == "content":
                if "content" not in now or not value.same(now["content"]):
                    return False
            elif now.get(key) != value:
                return False
        return True

    def write(self, name: str, state: State) -> None:
        now = self.read(name, None)  # type: ignore[arg-type]  # reading a file asks no other state
        if "discard" in state:
            move_tree(name, state["discard"])
            sync_directory(os.path.dirname(name))
        elif now["type"] not in ("absent", state["type"]):
            _remove(name, now)
        if state["type"] == "absent":
            return
        if "kept" in state:
            _move(state["kept"], name)
        elif state["type"] == "directory":
            _directory(name, state)
        elif state["type"] == "link":
            _link(name, state)
        elif state["type"] == "hard":
            _hard_link(name, state["target"])
        elif now["type"] == state["type"] != "file":
            _attributes(name, state)
        elif state["type"] != "file":
            raise ModuleFailure("%s is a %s: that cannot be made again" % (name, state["type"]))
        elif now["type"] == "file" and state["content"].same(now["content"]):
            _attributes(name, state)
        else:
            _replace(name, state)

    def merged(self, before: State, wanted: State) -> State:
        if wanted["type"] != before["type"]:
            return dict(wanted)
        after = dict(before, **wanted)
        if "content" in wanted and "mtime_ns" not in wanted and not wanted["content"].same(before["content"]):
            after.pop("mtime_ns", None)
        return after

    def predict(self, before: State, after: State) -> State:
        if after["type"] == "absent" or before["type"] == after["type"]:
            return after
        fresh = {"uid": os.geteuid(), "gid": os.getegid(), "mode": 0o777, "fresh": after["type"] == "directory"}
        return dict(fresh, **after)

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        saved = {key: value for key, value in before.items() if key != "content"}
        content = before.get("content")
        if content is not None and not ("content" in after and content.same(after["content"])):
            if content.size <= SMALL:
                saved["base64"] = base64.b64encode(content.read()).decode()
            else:
                saved["blob"] = journal.keep_content(content)
        replaced = after["type"] != "directory" or "kept" in after
        if before["type"] == "directory" and replaced and os.listdir(name):
            saved["kept"] = journal.place_for_tree(name)
            after["discard"] = journal.path(saved["kept"])
        return saved

    def load(self, saved: State, journal: Journal) -> State:
        state = {key: value for key, value in saved.items() if key not in ("base64", "blob", "kept")}
        if "base64" in saved:
            state["content"] = Content(base64.b64decode(saved["base64"]))
        elif "blob" in saved:
            state["content"] = Content(path=journal.path(saved["blob"]))
        if "kept" in saved and os.path.lexists(journal.path(saved["kept"])):
            state["kept"] = journal.path(saved["kept"])
        return state

    def recover(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(_temporary(name))

    def fingerprint(self, state: State) -> State:
        if state["type"] == "hard":
            return {"type": "file"}  # once made, one name is like the other
        return {
            key: value.sha256 if key == "content" else value
            for key, value in state.items()
            if key not in ("mtime_ns", "kept", "discard") and not (state["type"] == "link" and key == "mode")
        }

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": name, "after_header": name, "before": _describe(before, after),
                "after": _describe(after, before)}  # fmt: skip


KIND = FileKind()


def _describe(state: State, other: State) -> str:
    """Content when it differs, after the attributes that differ."""
    if state["type"] == "absent":
        return ""
    shown = {key: _readable(key, state[key]) for key in ("type", "mode", "uid", "gid", "target")
             if key in state and state[key] != other.get(key) and other["type"] != "absent"}  # fmt: skip
    if other["type"] == "absent" and state["type"] != "file":
        shown = {"type": state["type"], **({"target": state["target"]} if "target" in state else {})}
    text = "".join("%s: %s\n" % pair for pair in shown.items())
    if "content" in state and not ("content" in other and state["content"].same(other["content"])):
        body = state["content"].text()
        text += (
            body if body is not None else "(%d bytes, sha256 %s)\n" % (state["content"].size, state["content"].sha256)
        )
    return text


def _readable(key: str, value: Any) -> str:
    if key == "mode":
        return "%04o" % value
    if key == "uid":
        return user_name(value)
    return group_name(value) if key == "gid" else str(value)


def _remove(path: str, state: State) -> None:
    """Take a path away. A directory is empty here: one that holds something is moved into the journal."""
    if state["type"] == "directory":
        os.rmdir(path)
    else:
        os.unlink(path)
    sync_directory(os.path.dirname(path))


def _move(kept: str, path: str) -> None:
    """A kept tree back to its place; it may lie on another file system."""
    move_tree(kept, path)
    sync_directory(os.path.dirname(path))


def move_tree(source: str, target: str) -> None:
    """Rename, or copy with owners, modes, times and links and then remove, across file systems."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target + ".wxops-partial"
        shutil.rmtree(partial, ignore_errors=True)
        copy_tree(source, partial)
        os.rename(partial, target)
        shutil.rmtree(source)


def copy_tree(source: str, target: str) -> None:
    """Copy a tree with owners, modes, times, extended attributes and links."""
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copy2)
    for folder, folders, files in os.walk(source):
        twin = os.path.join(target, os.path.relpath(folder, source))
        for name in [".", *folders, *files]:
            found = os.lstat(os.path.join(folder, name))
            os.lchown(os.path.join(twin, name), found.st_uid, found.st_gid)
            if not stat.S_ISLNK(found.st_mode):
                os.chmod(os.path.join(twin, name), stat.S_IMODE(found.st_mode))


def _directory(path: str, state: State) -> None:
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
        sync_directory(os.path.dirname(path))
    _attributes(path, state)


def _link(path: str, state: State) -> None:
    with _beside(path) as temporary:
        os.symlink(state["target"], temporary)
        _chown(temporary, state)
        os.rename(temporary, path)


def _hard_link(path: str, target: str) -> None:
    with _beside(path) as temporary:
        os.link(target, temporary)
        os.rename(temporary, path)


def _replace(path: str, state: State) -> None:
    """New bytes under the old name: written beside it, synced, then renamed over it."""
    with _beside(path) as temporary:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for chunk in state["content"].chunks():
                file.write(chunk)
            file.flush()
            _copy_xattrs(path, file.fileno())
            _attributes(temporary, state)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


@contextlib.contextmanager
def _beside(path: str) -> Iterator[str]:
    """A hidden name in the same directory, gone again if the work fails (and, after a kill, at the next write)."""
    temporary = _temporary(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(path: str) -> str:
    """The same name each time, so that what a killed write left can be found."""
    folder, name = os.path.split(path)
    return os.path.join(
        folder, ".%s.wxops-new" % (name if len(name) < 200 else hashlib.sha256(name.encode()).hexdigest())
    )


def _attributes(path: str, state: State) -> None:
    _chown(path, state)
    if "mode" in state:
        os.chmod(path, state["mode"])
    if "mtime_ns" in state:
        os.utime(path, ns=(state["mtime_ns"], state["mtime_ns"]))


def _chown(path: str, state: State) -> None:
    now = os.lstat(path)
    uid, gid = state.get("uid", now.st_uid), state.get("gid", now.st_gid)
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.lchown(path, uid, gid)


def _copy_xattrs(path: str, target: int) -> None:
    """Extended attributes (SELinux label, ACL) of the file that is replaced."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.setxattr(target, name, os.getxattr(path, name, follow_symlinks=False))


def sync_directory(path: str) -> None:
    """Make a rename in this directory survive a power cut."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
