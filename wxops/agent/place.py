"""One name in a directory that is held open, and what can be put there: each in one step, or not at all."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure, Stopped
from wxops.agent.folder import opened, sync

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    State = Dict[str, Any]

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFBLK: "block", stat.S_IFCHR: "char"}  # fmt: skip
NODES = {name: number for number, name in TYPES.items() if name in ("fifo", "socket", "block", "char")}
LONGEST_NAME = 255  # bytes, on every file system of Linux
OF_THE_BYTES = ("security.capability", "security.ima", "security.evm")
"""Extended attributes that vouch for a file's content: new bytes must not inherit them."""


class Place:
    """A name in an opened directory. Whatever becomes of the directory's path meanwhile, this is where it is put."""

    def __init__(self, folder: int, path: str) -> None:
        self.folder, self.path = folder, path
        self.name = os.path.basename(path)
        self.new = os.path.basename(beside(path))

    def type(self) -> str:
        try:
            return TYPES[stat.S_IFMT(os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode)]
        except FileNotFoundError:
            return "absent"

    def remove(self) -> None:
        """Take away what is there; a directory must be empty."""
        if self.type() == "directory":
            os.rmdir(self.name, dir_fd=self.folder)
        else:
            os.unlink(self.name, dir_fd=self.folder)
        sync(self.folder)

    def put_file(self, state: State) -> None:
        """New bytes under the old name: written beside it, synced, then renamed over it."""
        content = state["content"]
        with self._replacing(resumes=content.resumes), open(self._draft(content.resumes), "r+b") as file:
            for chunk in content.rest(file):
                file.write(chunk)
            file.flush()
            if "xattrs" not in state:
                self._copy_xattrs(file.fileno())
            _give("/proc/self/fd/%d" % file.fileno(), state)
            os.fsync(file.fileno())

    def put_link(self, state: State) -> None:
        with self._replacing():
            os.symlink(state["target"], self.new, dir_fd=self.folder)
            self.own(self.new, state)

    def put_hard_link(self, target: str) -> None:
        with self._replacing(), opened(os.path.dirname(target)) as other:
            name = os.path.basename(target)
            os.link(name, self.new, src_dir_fd=other, dst_dir_fd=self.folder, follow_symlinks=False)

    def put_node(self, state: State) -> None:
        """A fifo, a device, or a socket that nobody listens at."""
        with self._replacing():
            os.mknod(self.new, NODES[state["type"]] | 0o600, state.get("device", 0), dir_fd=self.folder)
            with self._held(self.new) as held:
                _give(held, state)

    def put_directory(self, state: State) -> None:
        """A new one appears with all its attributes."""
        if self.type() == "directory":
            self.set_attributes(state)
            return
        with self._replacing():
            os.mkdir(self.new, 0o700, dir_fd=self.folder)
            with self._held(self.new) as held:
                _give(held, state)

    def set_attributes(self, state: State) -> None:
        """Owner, mode and times of what is there, and of nothing that takes its place meanwhile."""
        with self._held(self.name) as held:
            if TYPES[stat.S_IFMT(os.stat(held).st_mode)] != state["type"]:
                raise ModuleFailure("%s was replaced by somebody else just now: run again" % self.path)
            _give(held, state)

    def own(self, name: str, state: State) -> None:
        """A link's owner: it has no other attribute."""
        now = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        uid, gid = state.get("uid", now.st_uid), state.get("gid", now.st_gid)
        if (uid, gid) != (now.st_uid, now.st_gid):
            os.chown(name, uid, gid, dir_fd=self.folder, follow_symlinks=False)

    def _draft(self, resumes: bool) -> int:
        """The descriptor of a file under `new` that nobody else can have open; what a cut left of it if it resumes."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        if resumes:
            with contextlib.suppress(OSError):
                descriptor = os.open(self.new, flags | os.O_NONBLOCK, dir_fd=self.folder)
                if _is_ours_alone(os.fstat(descriptor)):
                    return descriptor
                os.close(descriptor)
        self._clear_new()
        return os.open(self.new, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.folder)

    @contextlib.contextmanager
    def _replacing(self, resumes: bool = False) -> Iterator[None]:
        """Renames what the caller makes under `new` over the name; what a killed write left there goes first.

        resumes: what was written so far stays when the link to the controller ends.
        """
        if not resumes:
            self._clear_new()
        try:
            yield
            os.rename(self.new, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except Stopped:
            if not resumes:
                self._clear_new()
            raise
        except BaseException:
            self._clear_new()
            raise
        self._clear_new()  # between two names of one file a rename does nothing
        sync(self.folder)

    def _clear_new(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(self.new, dir_fd=self.folder)
            except IsADirectoryError:
                os.rmdir(self.new, dir_fd=self.folder)

    @contextlib.contextmanager
    def _held(self, name: str) -> Iterator[str]:
        """A path that leads to what bears the name now, even if another takes the name."""
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            yield "/proc/self/fd/%d" % descriptor
        finally:
            os.close(descriptor)

    def _copy_xattrs(self, target: int) -> None:
        """Extended attributes (SELinux label, ACL) of the file that is replaced."""
        if self.type() != "file":
            return
        with self._held(self.name) as held:
            for name, value in xattrs(held).items():
                if name not in OF_THE_BYTES:
                    _set_xattr("/proc/self/fd/%d" % target, name, value)


@contextlib.contextmanager
def place(path: str) -> Iterator[Place]:
    """A place, with its directory held open."""
    with opened(os.path.dirname(path)) as folder:
        yield Place(folder, path)


def beside(path: str) -> str:
    """The hidden name in the same directory where something new is made. Always the same, so that what a killed
    write left is found again.
    """
    folder, name = os.path.split(path)
    new = ".%s.wxops-new" % name
    if len(os.fsencode(new)) > LONGEST_NAME:
        import hashlib  # few names are so long

        new = ".%s.wxops-new" % hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.join(folder, new)


def xattrs(path: str) -> Dict[str, str]:
    """The extended attributes of a file or directory, in base64; none where the file system has none."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                found[name] = base64.b64encode(os.getxattr(path, name)).decode()
    return found


def _is_ours_alone(status: os.stat_result) -> bool:
    """A plain file that only this user ever could open: nobody planted it, nobody writes to it."""
    private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
    return stat.S_ISREG(status.st_mode) and private and status.st_nlink == 1


def _set_xattr(path: str, name: str, value: str) -> None:
    with contextlib.suppress(OSError):  # a user may not give every one; not every file system has them
        os.setxattr(path, name, base64.b64decode(value))


def _give(path: str, state: State) -> None:
    """Owner first, since that clears setuid; times last, since the rest moves them."""
    now = os.stat(path)
    uid, gid = state.get("uid", now.st_uid), state.get("gid", now.st_gid)
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.chown(path, uid, gid)
    mode: Optional[int] = state.get("mode")
    if mode is not None and (mode != stat.S_IMODE(now.st_mode) or (uid, gid) != (now.st_uid, now.st_gid)):
        os.chmod(path, mode)
    for name, value in state.get("xattrs", {}).items():
        _set_xattr(path, name, value)
    if "mtime_ns" in state:
        os.utime(path, ns=(state["mtime_ns"], state["mtime_ns"]))
