"""What a recorded play cannot show: how many hosts work at the same time, and who is asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main
from wxops.engine.order import ordered
from wxops.errors import InputError, Origin

HOSTS = [f"h{number}" for number in range(1, 7)]
# Each host notes that it is there, how many others are, and that it left.
MEET = "cd {{ playbook_dir }}; : > in-$1; ls in-* | wc -l; sleep 0.3; rm in-$1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    variables = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (tmp_path / "hosts.ini").write_text("".join(f"{host} {variables}\n" for host in HOSTS))
    return tmp_path


def run(project: Path, play: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, *words: str) -> list[dict[str, Any]]:
    (project / "site.yml").write_text(play)
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "hosts.ini", "site.yml", "--output", "jsonl", *words])
    with pytest.raises(SystemExit):
        main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def most_at_once(events: list[dict[str, Any]]) -> int:
    return max(int(event["result"]["stdout"]) for event in events if event["event"] == "task")


def meeting(keywords: str, of_task: str = "") -> str:
    line = MEET.replace("$1", "{{ inventory_hostname }}")
    return f'- hosts: all\n  gather_facts: false\n  {keywords}\n  tasks:\n  - shell: "{line}"\n    {of_task}\n'


@pytest.mark.parametrize(
    ("keywords", "of_task", "words", "most"),
    [
        ("strategy: linear", "throttle: 2", (), 2),
        ("throttle: 1", "", (), 1),
        ("strategy: free", "throttle: 2", (), 2),
        ("strategy: free", "", ("--forks", "2"), 2),
        ("strategy: host_pinned", "", ("--forks", "2"), 2),
        ("strategy: host_pinned", "throttle: 1", (), 1),
    ],
)
def test_no_more_hosts_than_wanted_are_in_a_task(
    keywords: str, of_task: str, words: tuple[str, ...], most: int, project: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:  # fmt: skip
    events = run(project, meeting(keywords, of_task), monkeypatch, capsys, *words)
    assert len([event for event in events if event["event"] == "task"]) == len(HOSTS)
    assert 1 <= most_at_once(events) <= most


def test_a_free_host_does_not_wait_for_a_slow_one(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    events = run(project, """
- hosts: h1,h2
  gather_facts: false
  strategy: free
  tasks:
  - {name: first, command: sleep 1, when: inventory_hostname == 'h1'}
  - {name: last, command: "true"}
""", monkeypatch, capsys)  # fmt: skip
    ends = [(event["task"], event["host"]) for event in events if event["event"] == "task"]
    assert ends.index(("last", "h2")) < ends.index(("first", "h1"))


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_what_runs_once_for_all_is_refused_where_hosts_are_on_their_own(
    strategy: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (project / "site.yml").write_text(f"- hosts: all\n  strategy: {strategy}\n  tasks:\n  - pause: {{seconds: 1}}\n")
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "hosts.ini", "site.yml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert f"site.yml:4:5: pause runs once for all hosts, which strategy {strategy} does not know" in (
        capsys.readouterr().err
    )


def test_a_shuffled_order_has_all_hosts_once() -> None:
    assert sorted(ordered(HOSTS, "shuffle", Origin("site.yml"))) == HOSTS
    assert {tuple(ordered(HOSTS, "shuffle", Origin("site.yml"))) for _ in range(50)} != {tuple(HOSTS)}


def test_an_order_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'sorted'"):
        ordered(HOSTS, "sortd", Origin("site.yml"))
