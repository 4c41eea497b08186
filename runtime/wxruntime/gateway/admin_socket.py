"""The Unix socket of the admin interface: who may connect is the file system's to say, who has is the kernel's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import socket
import stat
import struct
import threading
from pathlib import Path

from wxruntime.gateway import config
from wxruntime.gateway.listener import CannotListen

# sun_path of sockaddr_un, with the zero at its end (unix(7)).
LONGEST_PATH = 107
NAME_S = 2.0


def bound(settings: config.Admin) -> socket.socket:
    """A socket that listens, for its owner and root, and for a group where one is named. Raises CannotListen."""
    path = settings.socket
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # it is never there with more rights than it ends with
    try:
        sock.bind(str(path))
        if settings.group is not None:
            os.chown(path, -1, settings.group)
            os.chmod(path, 0o660)
        sock.listen()
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from None
    finally:
        os.umask(before)
    return sock


def unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _make_way(path: Path) -> None:
    """Take away what a gateway that was killed has left; nothing else, and not one that is in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotListen(f"cannot listen on {path}: there is a file of another kind")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        try:
            tried.connect(str(path))
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                unlink(path)
                return
            raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from None
    raise CannotListen(f"cannot listen on {path}: another gateway does")


def who(descriptor: int) -> int:
    """The uid of the user at the other end of a connection (SO_PEERCRED, unix(7))."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


async def name_of(uid: int, seconds: float = NAME_S) -> str:
    """The user's name; "uid N" where there is none, or whoever knows it (LDAP, say) does not tell in time."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def tell(name: str) -> None:
        if not told.done():
            told.set_result(name)

    def look_up() -> None:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid {uid}"
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, name)

    threading.Thread(target=look_up, name="user's name", daemon=True).start()  # a daemon: the end waits for no LDAP
    try:
        return await asyncio.wait_for(told, seconds)
    except TimeoutError:
        return f"uid {uid}"
