"""Replicas come and go while clients stream: nobody notices, everything is written down, and no client can do it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Engine, Gateway, chat, get, model, said, until

from wxruntime.gateway import admin_socket, config
from wxruntime.gateway.listener import CannotListen

CLIENTS = 4
PROBED = {"interval_seconds": 60}  # a probe of its own would be counted among the calls


class Streams:
    """Clients that stream one answer after the other, and keep what came of each."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.whole: list[str] = []
        self.broken: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.whole) + count
        until(lambda: len(self.whole) >= wanted or self.broken, "clients are answered", 60)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        with self._gateway.client() as client:
            while not self._over.is_set():
                answer = client.post("/v1/chat/completions", json=chat(stream=True))
                fine = answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n")
                (self.whole if fine else self.broken).append(said(answer.text) if fine else answer.text)


@pytest.fixture
def administered(gateway: Callable[..., Gateway], tmp_path: Path) -> Callable[..., Gateway]:
    """A gateway with an admin socket, an audit log and a state file."""

    def start(*engines: Engine, **settings: Any) -> Gateway:
        admin = {"socket": str(tmp_path / "admin.sock"), "state": str(tmp_path / "state.json")}
        running = gateway(
            listen={"port": 0, "admin": admin}, models=[model(*engines)], health=PROBED,
            audit={"file": str(tmp_path / "audit.jsonl"), "sync": "always"}, **settings,
        )  # fmt: skip
        until(running.ready, "ready")
        return running

    return start


def test_a_replica_is_exchanged_under_streaming_clients_and_none_of_them_notices(
    engine: Callable[..., Engine], administered: Callable[..., Gateway], tmp_path: Path
) -> None:
    old, new = (engine(tokens=20, between=0.01) for _ in range(2))
    gateway = administered(old)
    streams = Streams(gateway)
    try:
        streams.more(CLIENTS)
        assert gateway.admin("POST", model="m", url=new.url).status_code == 201
        until(lambda: gateway.replicas() == {old.url: "up", new.url: "up"}, "the new one has made a token")
        streams.more(2 * CLIENTS)
        told = gateway.admin("POST", "/admin/replicas/drain", model="m", url=old.url)
        assert told.status_code == 200 and told.json()["state"] == "draining"
        asked = old.seen()["requests"]
        streams.more(2 * CLIENTS)
        assert old.seen()["requests"] == asked, "no new call came since it drains"
        drained = gateway.admin("GET").json()["models"][0]["replicas"][0]
        assert (drained["url"], drained["running"]) == (old.url, 0)
        assert gateway.admin("DELETE", model="m", url=old.url).json()["state"] == "gone"
        old.stop()
        streams.more(2 * CLIENTS)
    finally:
        streams.stop()
    assert streams.broken == []
    assert len(streams.whole) >= 7 * CLIENTS and len(set(streams.whole)) == 1
    assert old.url not in get(f"{gateway.probes}/metrics").text, "its series are gone"
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    done = [(each["action"], each["replica"], each["by"], each["uid"]) for each in lines if each["event"] == "admin"]
    assert done == [("add", new.url, "root", 0), ("drain", old.url, "root", 0), ("remove", old.url, "root", 0)]


def test_a_stream_that_runs_on_a_removed_replica_ends_there(
    engine: Callable[..., Engine], administered: Callable[..., Gateway]
) -> None:
    old, new = engine(tokens=40, between=0.05), engine()
    gateway = administered(old)
    gateway.admin("POST", model="m", url=new.url)
    until(lambda: gateway.replicas()[new.url] == "up", "the new one has made a token")
    gateway.admin("POST", "/admin/replicas/drain", model="m", url=new.url)
    with gateway.client().stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
        pieces = answer.iter_text()
        got = next(pieces)
        gateway.admin("POST", model="m", url=new.url)
        assert gateway.admin("DELETE", model="m", url=old.url).json() == {
            "url": old.url, "state": "leaving", "running": 1, "concurrent": 64, "trouble": "", "settings": {},
        }  # fmt: skip
        (leaving,) = gateway.admin("GET").json()["models"][0]["leaving"]
        assert (leaving["url"], leaving["running"]) == (old.url, 1)
        text = got + "".join(pieces)
    assert text.endswith("data: [DONE]\n\n") and "error" not in text
    until(lambda: gateway.admin("GET").json()["models"][0]["leaving"] == [], "it has left")
    assert gateway.chat().status_code == 200


def test_what_was_added_and_makes_no_token_gets_no_call(
    engine: Callable[..., Engine], administered: Callable[..., Gateway]
) -> None:
    good = engine()
    gateway = administered(good)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert gateway.admin("POST", model="m", url=url).json()["state"] == "probing"
        for _ in range(10):
            assert gateway.chat().status_code == 200
        assert gateway.replicas()[url] in ("probing", "down")
        refused = gateway.admin("POST", "/admin/replicas/drain", model="m", url=good.url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_replica")
        assert gateway.metric("wxops_gateway_breaker_changes_total", replica=url) >= 1
        assert gateway.admin("DELETE", model="m", url=url).status_code == 200
    assert gateway.replicas() == {good.url: "up"}
    assert url not in get(f"{gateway.probes}/metrics").text, "its counters are gone, too"


def test_changes_hold_over_reloads_and_restarts_until_the_file_says_otherwise(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    one, two, three = engine(), engine(), engine()
    listen = {"port": 0, "admin": {"socket": str(tmp_path / "a.sock"), "state": str(tmp_path / "state.json")}}
    running = gateway(listen=listen, models=[model(one)])
    running.admin("POST", model="m", url=two.url)
    until(lambda: running.replicas()[two.url] == "up", "the second has made a token")
    running.admin("DELETE", model="m", url=one.url)

    running.reload({"listen": listen, "models": [model(one)], "drain_seconds": 5})
    assert running.replicas() == {two.url: "up"}, "the file says of replicas what it did"
    running.process.kill()
    running.process.wait()
    again = gateway(listen=listen, models=[model(one)])
    assert list(again.replicas()) == [two.url], "kept in the state file; the socket of the one killed was no hindrance"
    assert again.chat().status_code == 200

    again.reload({"listen": listen, "models": [model(three)]})
    assert list(again.replicas()) == [three.url], "the file has the last word"
    given_up = [each for each in again.events() if each.get("action") == "give up for the file's"]
    assert [each["model"] for each in given_up] == ["m"]
    assert json.loads((tmp_path / "state.json").read_text()) == {"models": {}}, "and does not come back later"
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(30) == 0 and not (tmp_path / "a.sock").exists()


def test_a_broken_state_file_is_told_and_the_file_holds(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text("{broken")
    one = engine()
    listen = {"port": 0, "admin": {"socket": str(tmp_path / "a.sock"), "state": str(state)}}
    running = gateway(listen=listen, models=[model(one)])
    assert list(running.replicas()) == [one.url]
    assert running.metric("wxops_gateway_reload_failed", what="replicas") == 1
    assert f"{state} is not what a gateway has written" in running.log()


def test_a_kept_replica_whose_key_is_gone_stops_no_start_and_no_reload_half_way(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    one, two = engine(), engine()
    key, state = tmp_path / "key", tmp_path / "state.json"
    key.write_text("secret")
    listen = {"port": 0, "admin": {"socket": str(tmp_path / "a.sock"), "state": str(state)}}
    models = [{**model(one), "emergency": [{"url": "http://127.0.0.1:9", "api_key_file": str(key)}]}]
    running = gateway(listen=listen, models=models)
    told = running.admin("POST", model="m", url=two.url, api_key_file=str(key))
    assert told.status_code == 201, told.text

    key.unlink()
    running.reload({"listen": listen, "models": [model(one)], "drain_seconds": 5})
    assert list(running.replicas()) == [one.url, two.url], "what is broken changes nothing"
    assert running.metric("wxops_gateway_reload_failed", what="config") == 1
    running.process.kill()
    running.process.wait()
    again = gateway(listen=listen, models=[model(one)])
    assert list(again.replicas()) == [one.url] and again.chat().status_code == 200
    assert again.metric("wxops_gateway_reload_failed", what="replicas") == 1
    assert f"there is no file {key}" in again.log()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/admin/replicas", {"model": "x", "url": "http://h:1"}, 404, "no_such_model"),
        ("POST", "/admin/replicas", {"url": "http://h:1"}, 400, "malformed_body"),
        ("POST", "/admin/replicas", {"model": "m", "url": "ftp://h"}, 400, "malformed_body"),
        ("POST", "/admin/replicas", {"model": "m", "url": "http://h:1", "wieght": 1}, 400, "malformed_body"),
        (
            "POST",
            "/admin/replicas",
            {"model": "m", "url": "http://h:1", "api_key_file": "/etc/hostname"},
            400,
            "file_not_named",
        ),
        ("POST", "/admin/replicas/drain", {"model": "m", "url": "http://h:1"}, 404, "no_such_replica"),
        ("DELETE", "/admin/replicas", {"model": "m"}, 400, "malformed_body"),
        ("PUT", "/admin/replicas", {}, 405, "method"),
        ("GET", "/v1/models", {}, 404, "no_such_path"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    refusing: Gateway, method: str, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = refusing.replicas()
    told = refusing.admin(method, path, **body)
    assert (told.status_code, told.json()["error"]["code"]) == (status, code)
    assert refusing.replicas() == before


@pytest.fixture(scope="module")
def refusing(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("refusing")
    admin = {"socket": str(folder / "admin.sock")}
    running = Gateway(folder, {"listen": {"port": 0, "admin": admin}, "models": [model(shared_engine)]})
    yield running
    running.stop()


def test_no_client_of_models_reaches_it_and_the_socket_is_its_owners(refusing: Gateway) -> None:
    for method in ("GET", "POST", "DELETE"):
        with refusing.client() as client:
            assert client.request(method, "/admin/replicas").status_code == 404
    mode = os.stat(refusing.settings["listen"]["admin"]["socket"]).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_a_socket_in_use_or_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    settings = config.Admin(socket=tmp_path / "a.sock")
    with admin_socket.bound(settings), pytest.raises(CannotListen, match="another gateway does"):
        admin_socket.bound(settings)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CannotListen, match="a file of another kind"):
        admin_socket.bound(config.Admin(socket=tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"
