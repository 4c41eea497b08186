"""What a task costs on the wire: counted, so that it cannot grow unnoticed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.module_case import ManagedHost
from wxops.engine.record import past_run

SETUP_BURSTS = 3  # the password-less login's payload, then the first module with its source: agent, CONFIGURE, TASK
BYTES_A_TASK = 400
BYTES_OF_AN_AGENT = 100_000  # with the module `file`, as bytecode; sources take half of that


def traffic(managed: ManagedHost, tasks: list[dict[str, Any]]) -> dict[str, int]:
    played = managed.play(tasks)
    assert played.exit_code == 0, played.told()
    found: dict[str, int] = past_run(managed.folder / "runs", played.run).about["traffic"]
    return found


def directory(name: str) -> dict[str, Any]:
    return {"file": {"path": f"/srv/cost/{name}", "state": "directory"}}


@pytest.fixture(autouse=True)
def tidy(managed: ManagedHost) -> Any:
    yield
    managed.play([{"file": {"path": "/srv/cost", "state": "absent"}}])


def test_a_task_costs_one_round_trip(managed: ManagedHost) -> None:
    one = traffic(managed, [directory("first")])
    many = traffic(managed, [directory(str(number)) for number in range(11)])
    assert one["bursts"] <= SETUP_BURSTS
    assert many["bursts"] - one["bursts"] == 10
    assert (many["sent"] - one["sent"]) / 10 < BYTES_A_TASK


def test_an_agent_brings_only_what_its_task_needs(managed: ManagedHost) -> None:
    assert traffic(managed, [directory("first")])["sent"] < BYTES_OF_AN_AGENT


def test_a_loop_costs_one_round_trip_whatever_its_length(managed: ManagedHost) -> None:
    one = traffic(managed, [directory("first")])
    loop = traffic(managed, [{**directory("{{ item }}"), "loop": "{{ range(50) | list }}"}])
    assert loop["bursts"] == one["bursts"]


def test_content_that_the_host_has_is_not_sent_again(managed: ManagedHost) -> None:
    (managed.folder / "files" / "big").write_bytes(b"0123456789abcdef" * 65536)
    task = {"copy": {"src": "big", "dest": "/srv/big-copy"}}
    first, second = traffic(managed, [task]), traffic(managed, [task])
    assert first["sent"] - second["sent"] >= 1 << 20
    managed.rollback()
