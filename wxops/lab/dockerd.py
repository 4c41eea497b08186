"""A Docker engine of the lab's own, for as long as an image is built: no systemd and no network of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup
from wxops.lab.mounts import remove_tree
from wxops.lab.supervise import spawn

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


@contextlib.contextmanager
def docker_engine(folder: Path) -> Iterator[DockerClient]:
    """A client of an engine that keeps its images in `folder`/data, and ends with the block.

    Builds have no network and the machine's firewall is left alone; `folder` must be on a real file system.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cgroup = Cgroup(f"wxops-docker/{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:16]}")
    log = folder / "dockerd.log"
    socket, pidfile = folder / "docker.sock", folder / "docker.pid"
    settings = {
        "host": f"unix://{socket}",
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "run"),
        "pidfile": str(pidfile),
        "storage-driver": "overlay2",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
    }
    cgroup.kill()
    pidfile.unlink(missing_ok=True)  # of an engine that was killed: its number may be another process's by now
    spawn(cgroup, ["dockerd", *(f"--{name}={value}" for name, value in settings.items())], log)
    try:
        yield _connect(socket, cgroup, log)
    finally:
        _stop(cgroup, pidfile, folder / "run")


def _connect(socket: Path, cgroup: Cgroup, log: Path) -> DockerClient:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return DockerClient(base_url=f"unix://{socket}", version="auto", timeout=600)
        except DockerException:
            if time.monotonic() > deadline or not cgroup.pids():
                last = log.read_text(errors="replace").splitlines()[-2:]
                raise LabError("The lab's Docker engine did not start: " + " / ".join(last), where=str(log)) from None
            time.sleep(0.1)


def _stop(cgroup: Cgroup, pidfile: Path, state: Path) -> None:
    """Let the engine put its images in order; end it for good if it does not. Its network namespace stays mounted."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        cgroup.wait_empty(STOP_TIMEOUT_S)
    cgroup.kill()
    remove_tree(state)
