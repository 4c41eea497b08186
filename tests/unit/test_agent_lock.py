"""A host's lock over a run's life: kept when an agent of it ends, and taken by a check run that changes the host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent_here import AgentHere, agent_here
from wxops.agent import journal, lock
from wxops.agent.lock import HostLock


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The state directory of a host that is all our own."""
    for module in (lock, journal):
        monkeypatch.setattr(module, "state_directory", lambda: str(tmp_path / "state"))
    monkeypatch.setattr(lock, "ENDING_S", 0.1)
    return str(tmp_path / "state")


def touch(agent: AgentHere, path: Path, **about: Any) -> dict[str, Any]:
    agent.task("file", {"path": str(path), "state": "touch"}, **about)
    return agent.result()


def end(agent: AgentHere) -> None:
    """Its lock ends with its process, which here is the test's."""
    agent.hang_up()
    assert agent.has_ended()
    held = agent.session.lock._descriptor
    assert held is not None
    os.close(held)


def test_a_run_that_came_back_keeps_the_host_when_its_old_agent_ends(host: str, tmp_path: Path) -> None:
    with agent_here(check=False, run="ours") as old, agent_here(check=False, run="ours") as new:
        assert new.hello["holder"] is None
        assert HostLock(host).take({"run": "theirs"}) == {"run": "ours"}
        end(old)
        assert touch(new, tmp_path / "file")["changed"]
        assert HostLock(host).take({"run": "theirs"}) == {"run": "ours"}


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
        assert HostLock(host).take({"run": "theirs"}) == {"run": "ours"}


def test_a_check_run_changes_no_host_that_another_run_holds(host: str, tmp_path: Path) -> None:
    theirs = HostLock(host)
    assert theirs.take({"run": "theirs"}) is None
    with agent_here(check=True, run="ours") as agent:
        assert agent.hello["holder"] is None and touch(agent, tmp_path / "file")["changed"]
        assert "another run holds this host: theirs" in touch(agent, tmp_path / "file", check=False)["msg"]
        assert not (tmp_path / "file").exists()
