"""Running a command on the host: never a shell by accident, never a terminal, output streamed while it runs."""

from __future__ import annotations

import os
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
    """The commands that may be ended when the operator presses Ctrl-C."""

    def __init__(self) -> None:
        self.process: Optional[subprocess.Popen[bytes]] = None

    def interrupt(self) -> None:
        process = self.process
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
        )  # fmt: skip
    except OSError as error:
        where = cwd if error.filename == cwd else argv[0]
        raise ModuleFailure("cannot run %s: %s" % (where, error.strerror), cmd=list(argv), rc=error.errno) from None
    if running is not None:
        running.process = process
    collected: Dict[int, List[bytes]] = {1: [], 2: []}
    readers = [threading.Thread(target=_collect, args=(pipe, number, collected[number], output), daemon=True)
               for number, pipe in ((1, process.stdout), (2, process.stderr))]  # fmt: skip
    for reader in readers:
        reader.start()
    if stdin is not None:
        threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ModuleFailure("%s took longer than %g seconds and was ended" % (argv[0], timeout or 0), rc=-1) from None
    for reader in readers:
        reader.join(GRACE_S)  # a daemon it left behind may hold the pipe for ever
    return Completed(argv, process.returncode, b"".join(collected[1]), b"".join(collected[2]), start, time.time())


def _collect(pipe: Optional[IO[bytes]], number: int, into: List[bytes], output: Output) -> None:
    if pipe is None:
        return
    for line in pipe:
        into.append(line)
        if output is not None:
            output(number, line)


def _feed(pipe: Optional[IO[bytes]], data: bytes) -> None:
    if pipe is None:
        return
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        pass  # it did not want its input


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole group, SIGKILL when that does not help."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.05)
