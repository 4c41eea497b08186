"""Engines of a profile as processes of this host, each with a record in a directory, so that another run finds them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from wxruntime.healthcheck import probe
from wxruntime.profile.command import Command
from wxruntime.profile.model import Precision
from wxruntime.profile.rolling import POLL_S, LauncherError
from wxruntime.profile.switch import Replica

PROBE_S = 10.0
# In an engine's environment, and in that of what it starts: by it one is found whose record could not be completed.
MARK = "WXRUNTIME_REPLICA"


@dataclass(frozen=True)
class Record:
    """One engine. argv, environment: with which it is started, also again, whatever the profile says by then.

    born: when its process began, in ticks since the machine did: with pid it names that one for ever. new: gateways
    never sent requests there, as far as is known.
    """

    name: str
    precision: Precision
    port: int
    argv: Sequence[str]
    environment: Mapping[str, str]
    replaces: str | None = None
    pid: int | None = None
    born: int | None = None
    new: bool = False


@dataclass(frozen=True)
class Processes:
    """command: what runs in a precision, at a port. ports: those that an engine may have. ready_path: /ready, or what

    the engine has instead. stop_s: from SIGTERM to SIGKILL.
    """

    directory: Path
    command: Callable[[Precision, int], Command]
    ports: Sequence[int]
    ready_path: str
    address: str = "127.0.0.1"
    stop_s: float = 60.0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises LauncherError while another switch is under way in the directory."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            opened = (self.directory / "lock").open("w")
        except OSError as error:
            raise LauncherError(f"{self.directory} cannot be written: {error.strerror or error}") from None
        with opened as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LauncherError(f"another switch is under way in {self.directory}") from None
            yield

    # -- what is there

    def found(self) -> list[Record]:
        """Those that this directory knows, running or not, in the order in which they were made."""
        paths = sorted(self.directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [self._read(path) for path in paths]

    def running(self, name: str) -> bool:
        return self._pid(self._record(name)) is not None

    def url(self, name: str) -> str:
        return f"http://{self.address}:{self._record(name).port}"

    # -- rolling.Launcher

    def start(self, replica: Replica) -> None:
        path = self._path(replica.name)
        known = path.exists()
        if known:
            record = self._read(path)
            if self._pid(record) is not None:
                return
        else:
            record = self._new(replica)
        self._write(replace(record, pid=None, born=None))  # first: one that is killed now leaves no unknown engine
        try:
            with path.with_suffix(".log").open("ab") as log:
                process = subprocess.Popen(
                    record.argv,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env={**os.environ, **record.environment, MARK: str(path)},
                )  # fmt: skip
        except OSError as error:
            if not known:
                path.unlink()
            raise LauncherError(f"{record.argv[0]}: {error.strerror or error}") from None
        try:
            self._write(replace(record, pid=process.pid, born=_born(process.pid)))
        except LauncherError:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not known:
                with suppress(OSError):
                    path.unlink()
            raise

    def fault(self, name: str) -> str | None:
        return probe(f"http://127.0.0.1:{self._record(name).port}{self.ready_path}", PROBE_S)

    def ended(self, name: str) -> str | None:
        if self.running(name):
            return None
        log = self._path(name).with_suffix(".log")
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        return ": ".join(["it ended by itself", *last])

    def outstanding(self, name: str) -> int | None:
        """By /load, which ours have and others need not."""
        try:
            url = f"http://127.0.0.1:{self._record(name).port}/load"
            with build_opener(ProxyHandler({})).open(url, timeout=PROBE_S) as answer:
                load = json.load(answer)
            return int(load["running"]) + int(load["waiting"])
        except (OSError, HTTPException, ValueError, KeyError):
            return None

    def admitted(self, name: str) -> None:
        record = self._record(name)
        if record.new:
            self._write(replace(record, new=False))

    def stop(self, name: str) -> str | None:
        pid = self._pid(self._record(name))
        if pid is None:
            return None
        os.kill(pid, signal.SIGTERM)
        if self._ends(name, self.stop_s):
            return None
        os.kill(pid, signal.SIGKILL)
        self._ends(name, self.stop_s)
        return f"did not end within {self.stop_s:g} s of SIGTERM and was killed"

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    # --

    def _ends(self, name: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running(name):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _new(self, replica: Replica) -> Record:
        port = self._free_port()
        command = self.command(replica.precision, port)
        first = command.entrypoint[0]
        program = shutil.which(first) or str(Path(sys.executable).with_name(first))
        argv = [program, *command.entrypoint[1:], *command.arguments]
        return Record(
            replica.name, replica.precision, port, argv, dict(command.environment), replica.replaces, new=True
        )  # fmt: skip

    def _free_port(self) -> int:
        taken = {record.port for record in self.found()}
        free = next((port for port in self.ports if port not in taken and not _answers(port)), None)
        if free is None:
            raise LauncherError(f"no port from {self.ports[0]} to {self.ports[-1]} is free: name others with --ports")
        return free

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _record(self, name: str) -> Record:
        return self._read(self._path(name))

    def _read(self, path: Path) -> Record:
        try:
            return Record(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise LauncherError(f"{path} is no record of an engine: {error}") from None

    def _write(self, record: Record) -> None:
        path = self._path(record.name)
        made = path.stat().st_mtime_ns if path.exists() else None
        new = path.with_suffix(".new")
        try:
            new.write_text(json.dumps(asdict(record)) + "\n")
            if made is not None:
                os.utime(new, ns=(made, made))  # the order of found() is that in which they were first made
            new.replace(path)
        except OSError as error:
            raise LauncherError(f"{path} cannot be written: {error.strerror or error}") from None

    def _pid(self, record: Record) -> int | None:
        """Of its process, while that is there."""
        if record.pid is None:
            return next(_marked(str(self._path(record.name))), None)
        with suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)  # ours to reap, where this run started it
        return record.pid if record.born is not None and _born(record.pid) == record.born else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the program's name: state first (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _born(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def _marked(path: str) -> Iterator[int]:
    """Processes that bear the mark and whose parents do not."""
    wanted = f"{MARK}={path}".encode()
    found = set()
    for each in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in each.read_bytes().split(b"\0") and _born(int(each.parent.name)) is not None:
                found.add(int(each.parent.name))
    yield from sorted(pid for pid in found if int(_stat(pid)[1]) not in found)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port)) == 0
