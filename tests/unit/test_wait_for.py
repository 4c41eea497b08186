"""Waiting for ports: real sockets of this machine, opened, closed and drained while it waits."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure, Stopped
from wxops.agent.journal import Journal
from wxops.agent.modules.wait_for import wait_for
from wxops.agent.tcp_connections import active_connections


@pytest.fixture
def change(tmp_path: Path) -> Change:
    return Change(View(), Journal("run", root=str(tmp_path)))


@contextmanager
def listening(port: int = 0, says: bytes = b"") -> Iterator[int]:
    """A port of this machine that says something to whoever connects; its number."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_an_open_port_is_seen_at_once(change: Change) -> None:
    with listening() as port:
        result = wait_for(change, port=port, timeout=5)
    assert result == {"state": "started", "port": port, "path": None, "search_regex": None, "match_groups": [],
                      "match_groupdict": {}, "elapsed": 0}  # fmt: skip


def test_a_port_that_opens_later_is_waited_for(change: Change) -> None:
    port = free_port()

    def open_later() -> None:
        time.sleep(0.3)
        with listening(port):
            time.sleep(2)

    threading.Thread(target=open_later, daemon=True).start()
    assert wait_for(change, port=port, timeout=10, sleep=0)["port"] == port  # type: ignore[arg-type]


def test_a_port_that_never_opens_fails_in_time(change: Change) -> None:
    port = free_port()
    with pytest.raises(ModuleFailure, match=f"^Timeout when waiting for 127.0.0.1:{port}$") as failed:
        wait_for(change, port=port, timeout=1)
    assert failed.value.result["elapsed"] == 1


def test_what_a_port_says_is_matched(change: Change) -> None:
    with listening(says=b"220 mail ready\r\n") as port:
        result = wait_for(change, port=port, search_regex=r"(\d+) (?P<who>\w+)", timeout=5)
    assert (result["match_groups"], result["match_groupdict"]) == (["220", "mail"], {"who": "mail"})


def test_a_port_that_says_something_else_fails(change: Change) -> None:
    with listening(says=b"no") as port, pytest.raises(ModuleFailure, match=f"search string yes in 127.0.0.1:{port}"):
        wait_for(change, port=port, search_regex="yes", timeout=1)


def test_a_port_that_closes_is_seen(change: Change) -> None:
    assert wait_for(change, port=free_port(), state="stopped", timeout=5)["elapsed"] == 0
    with listening() as port, pytest.raises(ModuleFailure, match=f"127.0.0.1:{port} to stop."):
        wait_for(change, port=port, state="absent", timeout=1)


def test_a_port_drains_when_the_last_connection_goes(change: Change) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        active = ["ESTABLISHED"]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            with pytest.raises(ModuleFailure, match=f"127.0.0.1:{port} to drain"):
                wait_for(change, port=port, state="drained", timeout=1, active_connection_states=active)
            excluded: dict[str, Any] = {"active_connection_states": active, "exclude_hosts": ["127.0.0.1"]}
            assert wait_for(change, port=port, state="drained", timeout=5, **excluded)["state"] == "drained"
        accepted.close()
        assert wait_for(change, port=port, state="drained", timeout=5, active_connection_states=active)["elapsed"] < 5


def test_connections_to_ipv6_and_mapped_addresses_count() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            for host, count in (("127.0.0.1", 1), ("0.0.0.0", 1), ("::1", 0)):
                assert active_connections(host, port, ["ESTABLISHED"], []) == count
            assert active_connections("0.0.0.0", port, ["ESTABLISHED"], ["127.0.0.1"]) == 0
            assert active_connections("0.0.0.0", port, ["TIME_WAIT"], []) == 0


def test_without_a_port_and_a_path_it_just_waits(change: Change) -> None:
    started = time.monotonic()
    assert wait_for(change, timeout=1)["elapsed"] == 1
    assert time.monotonic() - started < 2


def test_it_ends_when_the_controller_wants_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    change = Change(View(), Journal("run", root=str(tmp_path)), stop=stop)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        wait_for(change, timeout=60, sleep=60)


def test_a_wait_for_nothing_takes_its_whole_time_after_the_delay(change: Change) -> None:
    assert wait_for(change, timeout=1, delay=1)["elapsed"] == 2
