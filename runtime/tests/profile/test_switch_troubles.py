"""What goes wrong in the middle of a switch: a gateway is gone, a socket is another service's, a name is misspelt."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from wxruntime.gateway.admin_client import like_those_there
from wxruntime.profile.command import Command
from wxruntime.profile.containers import CONTROLLER, HOST, MARK, Containers
from wxruntime.profile.model import Precision
from wxruntime.profile.processes import Processes, Record
from wxruntime.profile.rolling import LauncherError, NoGateway, Rolling, RotationError, SwitchFailed
from wxruntime.profile.switch import Admit, Drain, Replica, Start, Stop

OLD = Replica("ernie-fp32-1", "fp32", 1.0, 4)
NEW = Replica("ernie-bf16-1", "bf16", 1.0, 4)


class TwoGateways:
    """The second fails at `fails`; the first does what it is asked."""

    def __init__(self, *fails: str, kind: type[RotationError] = NoGateway) -> None:
        self._fails, self._kind = fails, kind
        self.first = "up"

    def _asked(self, what: str, state: str) -> None:
        self.first = state
        if what in self._fails:
            raise self._kind("two.sock: Connection refused")

    def add(self, url: str, seconds: float) -> None:
        self._asked("add", "up")

    def drain(self, url: str) -> None:
        self._asked("drain", "draining")

    def remove(self, url: str) -> None:
        self._asked("remove", "gone")

    def running(self, url: str) -> int:
        return 0


class Engines:
    """One that serves. interrupted: Ctrl-C comes while it is stopped."""

    def __init__(self, interrupted: bool = False) -> None:
        self._interrupted = interrupted
        self.done: list[str] = []

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def url(self, name: str) -> str:
        return "http://127.0.0.1:8000"

    def start(self, replica: Replica) -> None:
        self.done.append(f"start {replica.name}")

    def fault(self, name: str) -> str | None:
        return None

    def ended(self, name: str) -> str | None:
        return None

    def outstanding(self, name: str) -> int | None:
        return None

    def admitted(self, name: str) -> None:
        pass

    def stop(self, name: str) -> str | None:
        if self._interrupted:
            raise KeyboardInterrupt
        self.done.append(f"stop {name}")
        return None

    def remove(self, name: str) -> None:
        self.done.append(f"remove {name}")


def test_who_was_to_go_gets_requests_again_where_a_gateway_fails() -> None:
    gateways, engines = TwoGateways("drain"), Engines()
    with pytest.raises(SwitchFailed, match=r"two.sock.*ernie-fp32-1 gets requests again. the others serve on"):
        Rolling(engines, gateways).carry_out([Drain(OLD), Stop(OLD)])
    assert (gateways.first, engines.done) == ("up", [])


def test_who_was_stopped_comes_back_where_a_gateway_fails_after_that() -> None:
    gateways, engines = TwoGateways("remove"), Engines()
    with pytest.raises(SwitchFailed, match=r"two.sock.*ernie-fp32-1 is back. the others serve on"):
        Rolling(engines, gateways).carry_out([Drain(OLD), Stop(OLD)])
    assert (gateways.first, engines.done) == ("up", ["stop ernie-fp32-1", "start ernie-fp32-1"])


@pytest.mark.parametrize(
    ("kind", "says", "done"),
    [
        (NoGateway, "ernie-bf16-1 was taken away, though two.sock", ["stop ernie-bf16-1", "remove ernie-bf16-1"]),
        (RotationError, "ernie-bf16-1 could not be taken away: two.sock", []),
    ],
)
def test_a_new_one_is_ended_where_a_gateway_is_gone_but_not_where_one_may_send_requests_there(
    kind: type[RotationError], says: str, done: list[str]
) -> None:
    engines = Engines()
    with pytest.raises(SwitchFailed, match=says):
        Rolling(engines, TwoGateways("add", "remove", kind=kind)).carry_out([Start(NEW), Admit(NEW)])
    assert engines.done == ["start ernie-bf16-1", *done]


def test_an_engine_is_known_to_the_gateways_until_it_has_ended_so_the_next_switch_may_drain_and_stop_it() -> None:
    """Killed or interrupted in between, there was an engine that no gateway knew, refused as a stranger."""
    gateways = TwoGateways()
    with pytest.raises(KeyboardInterrupt):
        Rolling(Engines(interrupted=True), gateways).carry_out([Drain(OLD), Stop(OLD)])
    assert gateways.first == "draining"


LIST, WEB = "/containers/json?all=1", "/containers/web/json"


@pytest.fixture
def known() -> dict[str, Any]:
    """What Docker has, by its paths: one container."""
    web = {
        "Id": "1", "Name": "/web", "Created": "2026", "State": {"Running": True}, "HostConfig": {},
        "Config": {"Labels": None, "Cmd": ["x"]},
    }  # fmt: skip
    return {
        "/info": {"ID": "abc"},
        LIST: [{"Id": "1", "Names": ["/web"], "Labels": None}],
        "/containers/1/json": web,
        WEB: web,
    }


@pytest.fixture
def docker(known: dict[str, Any], tmp_path: Path) -> Iterator[Path]:
    """A socket at which Docker would answer."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(known.get(self.path))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._say(known.setdefault(f"/volumes/{asked['Name']}", {"CreatedAt": "2026", **asked}))

        def do_DELETE(self) -> None:
            self._say(known.pop(self.path, None))

        def _say(self, what: Any) -> None:
            body = json.dumps({"message": "page not found"} if what is None else what).encode()
            self.send_response(404 if what is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def containers(docker: Path, *names: str) -> Containers:
    commands: dict[Precision, Command] = {"fp32": Command(0, (), ("x",), {})}
    return Containers(docker, names, commands, range(8000, 8002))


def test_a_socket_of_docker_is_no_gateways(docker: Path) -> None:
    with pytest.raises(RotationError, match=r"docker.sock is no gateway's admin socket: HTTP 404"):
        like_those_there([docker], "ernie")


def test_a_container_that_is_not_there_is_told_and_not_left_out(docker: Path) -> None:
    with pytest.raises(LauncherError, match="no container ernei; it has web"):
        containers(docker, "web", "ernei").found()
    (found,) = containers(docker, "web").found()
    assert (found.name, found.precision, found.replaces) == ("web", "fp32", None)


def test_what_is_not_docker_is_told(docker: Path, known: dict[str, Any]) -> None:
    known[LIST] = {"models": []}
    with pytest.raises(LauncherError, match=r"what answers at .*docker.sock is not Docker: it lists no containers"):
        containers(docker, "web").found()
    known["/info"] = {}
    with pytest.raises(LauncherError, match=r"docker.sock is not Docker: it has no ID"), containers(docker).alone():
        pass


@pytest.mark.parametrize(
    ("bindings", "says"),
    [
        ({"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}, "web is at a port that Docker chose anew"),
        (None, "web publishes no port"),
    ],
)
def test_a_container_without_a_port_of_its_own_is_told(
    docker: Path, known: dict[str, Any], bindings: Any, says: str
) -> None:
    known[WEB]["HostConfig"] = {"PortBindings": bindings}
    with pytest.raises(LauncherError, match=says):
        containers(docker, "web").url("web")


def test_of_two_switches_of_containers_the_second_is_refused_wherever_it_is(
    docker: Path, known: dict[str, Any]
) -> None:
    first, second = containers(docker, "web"), containers(docker, "db")
    with first.alone(), pytest.raises(LauncherError, match=r"another switch .* is under way"), second.alone():
        raise AssertionError("there are two")
    elsewhere = {"CreatedAt": "2026-12-01", "Labels": {CONTROLLER: "another boot", HOST: "desk"}}
    known[f"/volumes/{MARK}"] = elsewhere
    with pytest.raises(LauncherError, match=r"from desk since 2026.*docker volume rm wxops-switch"), first.alone():
        raise AssertionError("there are two")
    assert known.pop(f"/volumes/{MARK}") == elsewhere
    with second.alone():
        assert f"/volumes/{MARK}" in known
    assert f"/volumes/{MARK}" not in known


def test_the_mark_of_a_switch_that_was_killed_is_taken_over_on_the_same_controller(
    docker: Path, known: dict[str, Any]
) -> None:
    script = (
        "import os, sys; from pathlib import Path; from wxruntime.profile.containers import Containers\n"
        "with Containers(Path(sys.argv[1]), ['web'], {}, range(1)).alone(): os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, docker], check=False)
    assert killed.returncode == -9 and f"/volumes/{MARK}" in known
    with containers(docker, "web").alone():
        pass
    assert f"/volumes/{MARK}" not in known


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engines = Processes(tmp_path / "file/engines", lambda *_: Command(0, (), (), {}), range(8000, 8002), "/ready")
    with pytest.raises(LauncherError, match="file/engines cannot be written: Not a directory"), engines.alone():
        pass


SLEEPS = Command(0, (sys.executable,), ("-c", "import time; time.sleep(60)"), {})


class FullDisk(Processes):
    """A record is written once more, and then the disk is full."""

    def _write(self, record: Record) -> None:
        if record.pid is not None:
            raise LauncherError("the disk is full")
        super()._write(record)


def test_an_engine_whose_record_cannot_be_completed_is_ended_and_one_that_was_known_is_known_still(
    tmp_path: Path,
) -> None:
    engines = Processes(tmp_path, lambda *_: SLEEPS, range(8000, 8002), "/ready")
    full = FullDisk(*(getattr(engines, each.name) for each in fields(engines)))
    with pytest.raises(LauncherError, match="the disk is full"):
        full.start(OLD)
    assert full.found() == []

    engines.start(OLD)
    engines.stop(OLD.name)
    with pytest.raises(LauncherError, match="the disk is full"):
        full.start(OLD)
    assert [each.name for each in engines.found()] == [OLD.name] and not engines.running(OLD.name)
