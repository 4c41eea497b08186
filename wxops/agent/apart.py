"""Work in a forked child that may be left behind: what hangs in a driver or a dead server holds only the child."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable, Tuple

    Write = Callable[[bytes], object]

LINK = 3
"""The child's end of the pipe. Below it is /dev/null three times, or a library would print into what it opens next."""


def fork_apart(work: Callable[[Write], object], seconds: int = 0) -> Tuple[int, int]:
    """A child that does `work`, which writes to a pipe; its process id and the pipe's end to read from.

    It keeps nothing else of ours open: it may live for ever. seconds: it ends then at the latest, if it can.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        _keep_only(writing)
        signal.alarm(seconds)
        work(lambda data: os.write(LINK, data))
    finally:
        os._exit(0)


def _keep_only(writing: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(writing, LINK)
    for number in range(LINK):
        os.dup2(null, number)
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor that listed them is closed by now
            os.closerange(max(LINK + 1, int(name)), int(name) + 1)


def abandon(pid: int) -> None:
    """It ends when the kernel lets go of it; until then nobody waits for it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, os.WNOHANG)
