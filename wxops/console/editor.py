"""$EDITOR on a text that must not stay on disk: in a private directory, in memory where the system has such a place."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from wxops.errors import InputError

IN_MEMORY = ("tmpfs", "ramfs")
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def edited(text: bytes, name: str) -> bytes:
    """What the operator's editor made of a text. name: whose ending tells the editor what kind of text it is."""
    with _ended_like_interrupted(), _private_directory() as folder:
        path = folder / Path(name).name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(text)
        _run(path)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise InputError("the editor removed the file: nothing was changed", where=name) from None


def _run(path: Path) -> None:
    command = shlex.split(os.environ.get("EDITOR") or "vi")
    try:
        done = subprocess.run([*command, str(path)], check=False)
    except OSError as error:
        raise InputError(f"the editor {command[0]} cannot be run: {error.strerror}", fix="set EDITOR") from None
    if done.returncode:
        raise InputError(f"the editor ended with {done.returncode}: nothing was changed", where=shlex.join(command))


@contextlib.contextmanager
def _private_directory() -> Iterator[Path]:
    """Nobody else can look into it (0700), and it goes with all that is in it, an editor's own copies too."""
    folder = Path(tempfile.mkdtemp(prefix="wxops-edit-", dir=in_memory()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_memory(mounts: str = "/proc/mounts") -> str | None:
    """A directory that is kept in memory and that we may write to; None where there is none."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    mounted = {words[1]: words[2] for line in lines if len(words := line.split()) > 2}
    places = [os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/run/shm"]
    return next((at for at in places if mounted.get(at) in IN_MEMORY and os.access(at, os.W_OK | os.X_OK)), None)


@contextlib.contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """A closed terminal or a `kill` ends us as Ctrl-C does, so that the text is removed then too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
