"""An undefined variable is named with its place (file, line, column) and task, wherever it stands: ansible#35828."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main

KEYWORDS = {
    "an argument": "debug: {msg: '{{ nope }}'}",
    "a nested argument": "debug: {msg: [{a: '{{ nope }}'}]}",
    "a condition": "debug: {msg: x}\n      when: nope == 1",
    "a loop": "debug: {msg: x}\n      loop: '{{ nope }}'",
    "with_items": "debug: {msg: x}\n      with_items: '{{ nope }}'",
    "with_dict": "debug: {msg: x}\n      with_dict: '{{ nope }}'",
    "a task's variable": "debug: {msg: '{{ mine }}'}\n      vars: {mine: '{{ nope }}'}",
    "a label": "debug: {msg: x}\n      loop: [1]\n      loop_control: {label: '{{ nope }}'}",
    "delegate_to": "command: 'true'\n      delegate_to: '{{ nope }}'",
    "become_user": "command: 'true'\n      become: true\n      become_user: '{{ nope }}'",
    "become": "command: 'true'\n      become: '{{ nope }}'",
    "remote_user": "command: 'true'\n      remote_user: '{{ nope }}'",
    "environment": "command: 'true'\n      environment: {A: '{{ nope }}'}",
    "changed_when": "command: 'true'\n      changed_when: nope",
    "failed_when": "command: 'true'\n      failed_when: nope",
    "until": "command: 'true'\n      until: nope\n      retries: 1\n      delay: 0",
    "retries": "command: 'false'\n      retries: '{{ nope }}'",
    "delay": "command: 'false'\n      retries: 1\n      delay: '{{ nope }}'",
    "check_mode": "debug: {msg: x}\n      check_mode: '{{ nope }}'",
    "diff": "debug: {msg: x}\n      diff: '{{ nope }}'",
    "timeout": "command: 'true'\n      timeout: '{{ nope }}'",
    "notify": "debug: {msg: x}\n      changed_when: true\n      notify: '{{ nope }}'",
    "assert": "assert: {that: nope == 1}",
    "set_fact": "set_fact: {a: '{{ nope }}'}",
    "a name of set_fact": "set_fact: {'{{ nope }}': 1}",
    "include_tasks": "include_tasks: '{{ nope }}.yml'",
    "include_role": "include_role: {name: '{{ nope }}'}",
    "include_vars": "include_vars: '{{ nope }}.yml'",
    "a template file": "template: {src: t.j2, dest: /tmp/never}",
    "a template that a template includes": "template: {src: outer.j2, dest: /tmp/never}",
    "a copied text": "copy: {content: '{{ nope }}', dest: /tmp/never}",
    "a lookup's term": "debug: {msg: \"{{ lookup('file', nope) }}\"}",
    "a lookup of a template": "debug: {msg: \"{{ lookup('template', 't.j2') }}\"}",
    "lookup vars": "debug: {msg: \"{{ lookup('vars', 'nope') }}\"}",
    "another host's": "debug: {msg: '{{ hostvars.h2.nope }}'}",
    "a variable of group_vars": "debug: {msg: '{{ grouped }}'}",
    "a default of a role": "include_role: {name: r}",
    "module_defaults": "debug:\n      module_defaults: {debug: {msg: '{{ nope }}'}}",
    "an attribute": "debug: {msg: '{{ there.nope }}'}\n      vars: {there: {a: 1}}",
    "in a block text": "debug:\n        msg: |\n          one\n          {{ nope }}",
}
PLACES = {
    "a template file": "templates/t.j2:2",
    "a template that a template includes": "templates/t.j2:2",
    "a lookup of a template": "templates/t.j2:2",
    "a variable of group_vars": "group_vars/all.yml:1:10",
    "a default of a role": "roles/r/defaults/main.yml:1:12",
    "in a block text": "site.yml:8",
}
FILES = {
    "templates/t.j2": "one\n{{ nope }}\n", "templates/outer.j2": "{% include 't.j2' %}\n",
    "group_vars/all.yml": "grouped: '{{ nope }}'\n", "roles/r/defaults/main.yml": "of_a_role: '{{ nope }}'\n",
    "roles/r/tasks/main.yml": "- {name: the task, debug: {msg: '{{ of_a_role }}'}}\n",
}  # fmt: skip


FOR_ALL = {
    "throttle": "debug: {msg: x}\n      throttle: '{{ nope }}'",
    "run_once": "debug: {msg: x}\n      run_once: '{{ nope }}'",
    "any_errors_fatal": "command: 'false'\n      any_errors_fatal: '{{ nope }}'",
}


Told = tuple[int, list[dict[str, Any]], str]


def played(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Told:
    """The exit code, what was told, and what was said on standard error."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "site.yml").write_text(
        f"- hosts: h1\n  gather_facts: false\n  tasks:\n    - name: the task\n      {task}\n"
    )
    (tmp_path / "hosts").write_text("h1 ansible_connection=local\nh2 ansible_connection=local\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "hosts", "site.yml", "--output", "jsonl"])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("case", KEYWORDS)
def test_it_is_named_with_its_place_and_task(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, events, said = played(KEYWORDS[case], tmp_path, monkeypatch, capsys)
    told = [event for event in events if event["event"] == "task" and event["status"] == "failed"]
    assert code == 2 and told, (events, said)
    message = json.dumps(told[-1]["result"])
    assert re.search(r"'nope' is undefined|no attribute 'nope'|variable 'nope'", message), message
    assert PLACES.get(case, "site.yml:") in message
    assert case in PLACES or re.search(r"site\.yml:[4-9]:\d+: ", message), message
    assert told[-1]["task"].endswith("the task")


@pytest.mark.parametrize("case", FOR_ALL)
def test_in_what_holds_for_all_hosts_it_ends_the_run_with_its_place_and_task(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, _, said = played(FOR_ALL[case], tmp_path, monkeypatch, capsys)
    assert code == 1
    assert re.search(r"site\.yml:6:\d+: 'nope' is undefined", said), said
    assert "of the task 'the task'" in said
