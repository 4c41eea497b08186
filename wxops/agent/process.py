"""Running a command on the host: never a shell by accident, never a terminal, output streamed while it runs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import IO, Any, Callable, Dict, List, Optional, Sequence

    Output = Optional[Callable[[int, bytes], None]]

GRACE_S = 5.0  # between SIGTERM and SIGKILL
QUIET_S = 0.5
"""How long a command that has ended is still listened to: a daemon that it left behind may hold its output for ever."""
CHUNK = 64 * 1024
KEPT = 8 * 1024 * 1024
"""Bytes kept of each of a command's two outputs. All of it must fit into one frame, as text and as lines."""


class Completed:
    """What a command returned: rc, stdout, stderr (text), and when (seconds since the epoch)."""

    def __init__(self, argv: Sequence[str], rc: int, stdout: bytes, stderr: bytes, start: float, end: float) -> None:
        self.argv, self.rc, self.start, self.end = list(argv), rc, start, end
        self.stdout, self.stderr = stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")

    def result(self) -> Dict[str, Any]:
        """The values that Ansible's command modules register."""
        out, err = self.stdout.rstrip("\r\n"), self.stderr.rstrip("\r\n")
        return {"cmd": self.argv, "rc": self.rc, "stdout": out, "stderr": err, "stdout_lines": out.splitlines(),
                "stderr_lines": err.splitlines()}  # fmt: skip


class Running:
    """The command that is ended when the operator presses Ctrl-C; one that starts after that ends at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._interrupted = False

    def started(self, process: Optional[subprocess.Popen[bytes]]) -> None:
        """This one runs now; None: it has ended."""
        with self._lock:
            self._process = process
            interrupted = self._interrupted
        if interrupted and process is not None:
            _end(process)

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            process = self._process
        if process is not None and process.poll() is None:
            _end(process)


def run(
    argv: Sequence[str],
    *,
    stdin: Optional[bytes] = None,
    cwd: Optional[str] = None,
    environment: Optional[Dict[str, str]] = None,
    timeout: Optional[float] = None,
    output: Output = None,
    running: Optional[Running] = None,
) -> Completed:
    """Run a command to its end. Raises ModuleFailure when it cannot start or takes longer than `timeout` seconds.

    environment is added to the agent's own. `running` makes it end on Ctrl-C.
    """
    start = time.time()
    try:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=cwd, env=dict(os.environ, **(environment or {})), start_new_session=True,
            bufsize=0,
        )  # fmt: skip
    except OSError as error:
        where = cwd if error.filename == cwd else argv[0]
        raise ModuleFailure("cannot run %s: %s" % (where, error.strerror), cmd=list(argv), rc=error.errno) from None
    if running is not None:
        running.started(process)
    if stdin is not None:
        threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
    streams = [Stream(pipe, number, output) for number, pipe in ((1, process.stdout), (2, process.stderr)) if pipe]
    try:
        _listen(process, streams, None if timeout is None else time.monotonic() + timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ModuleFailure("%s took longer than %g seconds and was ended" % (argv[0], timeout or 0), rc=-1) from None
    finally:
        for stream in streams:
            stream.close()
        if running is not None:
            running.started(None)
    out, err = (stream.kept() for stream in streams)
    return Completed(argv, process.returncode, out, err, start, time.time())


class Stream:
    """One of a command's two outputs: shown line by line as it comes, and kept up to a limit."""

    def __init__(self, pipe: IO[bytes], number: int, output: Output) -> None:
        self.pipe, self._number, self._output = pipe, number, output
        self._kept: List[bytes] = []
        self._size = 0
        self._line = b""

    def take(self) -> bool:
        """Read what has come; False at the end of the stream."""
        data = os.read(self.pipe.fileno(), CHUNK)
        if self._size < KEPT:
            self._kept.append(data[: KEPT - self._size])
        self._size += len(data)
        if self._output is not None:
            self._show(data)
        return bool(data)

    def kept(self) -> bytes:
        """What it printed; of too much the beginning, and how much there was."""
        if self._size > KEPT:
            self._kept.append(b"\n[%d bytes; only the first %d are kept]\n" % (self._size, KEPT))
        return b"".join(self._kept)

    def close(self) -> None:
        if self._line and self._output is not None:
            self._output(self._number, self._line)
        self.pipe.close()

    def _show(self, data: bytes) -> None:
        """Whole lines; one without an end is not waited for longer than a chunk."""
        lines = (self._line + data).splitlines(True)
        last = lines.pop() if lines and not lines[-1].endswith(b"\n") and len(lines[-1]) < CHUNK else b""
        self._line = last
        for line in lines:
            if self._output is not None:
                self._output(self._number, line)


def _listen(process: subprocess.Popen[bytes], streams: Sequence[Stream], deadline: Optional[float]) -> None:
    """Read both outputs until the command has ended and nobody writes there any more. Raises TimeoutExpired."""
    poll, open_streams = select.poll(), {stream.pipe.fileno(): stream for stream in streams}
    for descriptor in open_streams:
        poll.register(descriptor, select.POLLIN)
    while open_streams:
        ready = poll.poll(QUIET_S * 1000)
        for descriptor, _ in ready:
            if not open_streams[descriptor].take():
                poll.unregister(descriptor)
                del open_streams[descriptor]
        if not ready and process.poll() is not None:
            return
        if deadline is not None and time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, 0)
    process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))


def _feed(pipe: Optional[IO[bytes]], data: bytes) -> None:
    if pipe is None:
        return
    with contextlib.suppress(OSError):  # it did not want its input
        view = memoryview(data)
        while view:
            view = view[pipe.write(view) or 0 :]
    pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole group, and SIGKILL to what is left of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
