"""Jobs outlive what started them: the agent, its link and the run; their changes are journaled and taken back."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.web_server import web_server
from wxops.agent.journal import state_directory
from wxops.cli.main import main

LOCAL = f"h1 ansible_connection=local ansible_python_interpreter={sys.executable}\n"


class Project:
    """A project for one local host, whose agents keep their state in a directory of its own."""

    def __init__(self, directory: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self._capsys, self._monkeypatch = directory, capsys, monkeypatch
        (directory / "hosts.ini").write_text(LOCAL + f"[all:vars]\nansible_async_dir={directory}/jobs\n")

    def wxops(self, *words: str) -> tuple[int, list[dict[str, Any]]]:
        self._monkeypatch.setattr(sys, "argv", ["wxops", *words, "-i", "hosts.ini", "--output", "jsonl"])
        with pytest.raises(SystemExit) as ended:
            main()
        told = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return int(ended.value.code or 0), told

    def play(self, tasks: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and the result of each task by its name."""
        lines = "".join(f"    {line}\n" for line in tasks.strip("\n").splitlines())
        (self.directory / "site.yml").write_text(f"- hosts: h1\n  gather_facts: false\n  tasks:\n{lines}")
        code, told = self.wxops("run", "site.yml")
        return code, {line["task"]: {**line["result"], "status": line["status"]} for line in told
                      if line["event"] == "task"}  # fmt: skip

    def job(self, name: str) -> Path:
        return self.directory / "jobs" / name


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Project(tmp_path, capsys, monkeypatch)


def wait_for(path: Path, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.05)


def test_a_job_outlives_the_agent_that_started_it_and_is_found_again(project: Project) -> None:
    code, results = project.play("""
- {name: agent, shell: echo $PPID, register: agent}
- {name: job, shell: "sleep 0.5; kill -9 {{ agent.stdout }}; sleep 1; echo survived", async: 30, poll: 1}
""")
    assert (code, results["job"]["stdout"], results["job"]["status"]) == (0, "survived", "changed")


def test_a_job_goes_on_when_the_run_is_over_and_the_next_run_gets_its_result(project: Project, tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    _, results = project.play(f"- {{name: job, shell: '{wait}; echo late', async: 30, poll: 0}}")
    job = results["job"]["ansible_job_id"]
    _, results = project.play(f"""
- {{name: at once, async_status: {{jid: {job}}}}}
- {{file: {{path: {tmp_path}/go, state: touch}}}}
- {{name: in the end, async_status: {{jid: {job}}}, register: r, until: r is finished, delay: 1}}
""")
    assert results["at once"]["finished"] is False
    assert (results["in the end"]["finished"], results["in the end"]["stdout"]) == (True, "late")


def test_a_killed_job_is_told_from_one_that_runs(project: Project) -> None:
    _, results = project.play("- {name: job, command: sleep 60, async: 90, poll: 0}")
    job = results["job"]["ansible_job_id"]
    os.kill(int(job.partition(".")[2]), signal.SIGKILL)
    code, results = project.play(f"- {{name: ask, async_status: {{jid: {job}}}}}")
    assert (code, results["ask"]["finished"]) == (2, True)
    assert "ended without a result: it was killed" in results["ask"]["msg"]


def test_a_job_that_takes_too_long_is_ended_on_the_host_itself(project: Project) -> None:
    _, results = project.play("- {name: job, shell: 'sleep 60; touch too-late', async: 1, poll: 0}")
    job = results["job"]["ansible_job_id"]
    _, results = project.play(f"""
- {{name: ask, async_status: {{jid: {job}}}, register: r, until: r is finished, delay: 1, retries: 20,
   ignore_errors: true}}
""")
    assert results["ask"]["msg"] == "Timeout exceeded"
    assert not (project.directory / "too-late").exists()


def test_what_a_job_changed_is_taken_back_with_its_run(project: Project) -> None:
    made = project.directory / "made"
    _, results = project.play(f"- {{name: job, file: {{path: {made}, state: directory}}, async: 30, poll: 0}}")
    wait_for(made)
    while any(Path(state_directory(), "async-running").glob(results["job"]["ansible_job_id"])):
        time.sleep(0.05)
    past = next((project.directory / "state" / "wxops" / "runs").iterdir()).name
    code, _ = project.wxops("rollback", past)
    assert code == 0
    assert not made.exists()


def test_a_run_is_not_taken_back_while_a_job_of_it_runs(project: Project) -> None:
    _, results = project.play("- {name: job, command: sleep 60, async: 90, poll: 0, rollback: 'true'}")
    job = results["job"]["ansible_job_id"]
    past = next((project.directory / "state" / "wxops" / "runs").iterdir()).name
    try:
        code, told = project.wxops("rollback", past)
    finally:
        os.kill(int(job.partition(".")[2]), signal.SIGKILL)
    assert code == 2
    assert any(f"job {job}" in str(line) and "still runs" in str(line) for line in told)
    assert project.wxops("rollback", past)[0] == 0


def test_a_question_that_runs_as_a_job_is_no_step_of_the_run(project: Project) -> None:
    project.play("""
- {name: question, command: "true", async: 30, poll: 1, register: r, changed_when: r.rc != 0}
- {name: change, file: {path: "{{ playbook_dir }}/made", state: directory}}
""")
    past = next((project.directory / "state" / "wxops" / "runs").iterdir()).name
    code, told = project.wxops("rollback", past, "--check")
    assert code == 0
    assert not any("cannot be taken back" in str(line) for line in told)


def test_content_of_the_controller_is_there_before_the_job_is_on_its_own(project: Project) -> None:
    (project.directory / "large").write_text("x" * 200_000)
    with web_server() as server:
        code, results = project.play(f"""
- name: send
  uri: {{url: "{server}/echo", method: POST, src: "{{{{ playbook_dir }}}}/large", return_content: true}}
  async: 30
  poll: 1
""")
    assert (code, len(results["send"]["json"]["body"])) == (0, 200_000)


def test_no_other_path_can_be_asked_for(project: Project) -> None:
    (project.directory / "secret").write_text("{}")
    code, results = project.play("- {name: ask, async_status: {jid: ../secret, mode: cleanup}}")
    assert (code, results["ask"]["msg"]) == (2, "could not find job")
    assert (project.directory / "secret").exists()


def test_nobody_waits_for_a_job_so_a_run_that_it_starts_does_not_work_below_its_own(project: Project) -> None:
    _, results = project.play("- {name: job, shell: 'echo ${WXOPS_WITHIN-none}', async: 30, poll: 1}")
    assert results["job"]["stdout"] == "none"
