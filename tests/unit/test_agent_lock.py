"""A host's lock over a run's life: kept when an agent of it ends, taken by a check run that changes the host, and lent

to the runs that its commands start.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent_here import AgentHere, agent_here
from wxops.agent import journal, lock, wire
from wxops.agent.lock import HostLock


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The state directory of a host that is all our own."""
    for module in (lock, journal):
        monkeypatch.setattr(module, "state_directory", lambda: str(tmp_path / "state"))
    monkeypatch.setattr(lock, "ENDING_S", 0.1)
    monkeypatch.setattr(lock, "TURN_S", 0.3)
    return str(tmp_path / "state")


def taken(host: str) -> str:
    """The run that keeps another from this host."""
    found = HostLock(host).take({"run": "theirs"})
    assert found is not None
    return str(found["run"])


def touch(agent: AgentHere, path: Path, **about: Any) -> dict[str, Any]:
    agent.task("file", {"path": str(path), "state": "touch"}, **about)
    return agent.result()


class Waiting:
    """A command of a run that waits until it is let go, as a script waits for the run that it starts."""

    def __init__(self, agent: AgentHere, folder: Path) -> None:
        self.agent, self._begun, self._go_on = agent, folder / "begun", folder / "go-on"
        for path in (self._begun, self._go_on):
            path.unlink(missing_ok=True)
        text = f"echo $WXOPS_WITHIN; touch {self._begun}; while ! test -e {self._go_on}; do sleep 0.01; done"
        agent.task("shell", {"_raw_params": text})
        while not self._begun.exists():
            time.sleep(0.01)

    def end(self) -> dict[str, Any]:
        self._go_on.touch()
        return self.agent.result()


def holder(agent: AgentHere) -> str | None:
    """The run that an agent was refused for."""
    found = agent.hello["holder"]
    return found and str(found["run"])


def end(agent: AgentHere) -> None:
    """Its lock ends with its process, which here is the test's."""
    agent.hang_up()
    assert agent.has_ended()
    held = agent.session.lock
    assert held._descriptor is not None
    for descriptor in (held._descriptor, held._below):
        if descriptor is not None:
            os.close(descriptor)


def test_a_run_that_came_back_keeps_the_host_when_its_old_agent_ends(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="ours") as old, agent_here(check=False, run="ours") as new:
        assert new.hello["holder"] is None
        assert taken(host) == "ours"
        end(old)
        assert touch(new, tmp_path / "file")["changed"]
        assert taken(host) == "ours"


def test_a_run_that_lost_the_host_to_another_changes_nothing_more(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="ours") as old, agent_here(check=False, run="ours") as new:
        end(old)
        theirs = HostLock(host)
        assert theirs.take({"run": "theirs", "user": "kim"}) is None
        result = touch(new, tmp_path / "file")
        assert result["failed"] and "another run holds this host: theirs of kim" in result["msg"]
        assert not (tmp_path / "file").exists()


def test_a_check_run_takes_the_lock_only_to_change_something(host: str, tmp_path: Path) -> None:
    with agent_here(check=True, run="ours") as agent:
        assert touch(agent, tmp_path / "file")["changed"] and not (tmp_path / "file").exists()
        agent.task("command", {"argv": ["true"]}, check=False, journaled=False)
        assert agent.result()["rc"] == 0
        assert not Path(host).exists(), "nobody locked anything"
        assert touch(agent, tmp_path / "file", check=False)["changed"] and (tmp_path / "file").exists()
        assert taken(host) == "ours"


def test_a_check_run_changes_no_host_that_another_run_holds(host: str, tmp_path: Path) -> None:
    theirs = HostLock(host)
    assert theirs.take({"run": "theirs"}) is None
    with agent_here(check=True, run="ours") as agent:
        assert agent.hello["holder"] is None and touch(agent, tmp_path / "file")["changed"]
        assert "another run holds this host: theirs" in touch(agent, tmp_path / "file", check=False)["msg"]
        assert not (tmp_path / "file").exists()


def test_a_run_that_a_command_starts_works_below_the_run_that_waits_for_it(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="outer") as outer:
        command = Waiting(outer, tmp_path)
        with agent_here(check=False, run="inner", within=["outer"]) as inner:
            assert touch(inner, tmp_path / "by-inner")["changed"]
            again = Waiting(inner, tmp_path / "state")
            with agent_here(check=False, run="innermost", within=["outer", "inner"]) as innermost:
                assert touch(innermost, tmp_path / "by-innermost")["changed"]
                end(innermost)
            assert again.end()["stdout"] == "outer:inner"
            end(inner)
        assert command.end()["stdout"] == "outer"
        assert touch(outer, tmp_path / "by-outer")["changed"]


def test_nobody_else_works_below_a_run_that_waits(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="outer") as outer:
        command = Waiting(outer, tmp_path)
        with agent_here(check=False, run="inner", within=["outer"]) as inner, \
             agent_here(check=False, run="stranger") as stranger, \
             agent_here(check=False, run="sibling", within=["outer"]) as sibling:  # fmt: skip
            assert (holder(inner), holder(stranger), holder(sibling)) == (None, "outer", "inner")
            assert "another run holds this host: outer" in touch(stranger, tmp_path / "file")["msg"]
            assert "another run holds this host: inner" in touch(sibling, tmp_path / "file")["msg"]
            end(inner)
        assert command.end()["rc"] == 0 and not (tmp_path / "file").exists()


def test_a_run_waits_while_the_one_above_it_is_at_work(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="outer") as outer:
        outer.task("wait_for", {"path": str(tmp_path / "come"), "timeout": 30, "sleep": 1})
        with agent_here(check=False, run="inner", within=["outer"]) as inner:
            assert holder(inner) == "outer"
            (tmp_path / "come").touch()
            assert outer.result()["path"] == str(tmp_path / "come")
            assert touch(inner, tmp_path / "file")["changed"]


def test_a_command_must_not_leave_its_run_behind(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="outer") as outer:
        command = Waiting(outer, tmp_path)
        with agent_here(check=False, run="inner", within=["outer"]) as inner:
            assert "the command has ended, but not the run that it started: inner" in command.end()["msg"]
            outer.next(wire.DONE)
            assert "another run holds this host: inner" in touch(outer, tmp_path / "file")["msg"]
            end(inner)
        outer.next(wire.DONE)
        assert touch(outer, tmp_path / "file")["changed"]


def test_a_new_run_waits_for_one_that_worked_below_an_agent_that_died(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="outer") as outer:
        command = Waiting(outer, tmp_path)
        with agent_here(check=False, run="inner", within=["outer"]) as inner:
            command.end()
            end(outer)
            with agent_here(check=False, run="new") as new:
                assert "another run holds this host: inner" in touch(new, tmp_path / "file")["msg"]
                end(inner)
                new.next(wire.DONE)
                assert touch(new, tmp_path / "file")["changed"]
