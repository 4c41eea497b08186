"""What a playbook's author wrote is compiled once, however many hosts it is for."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main
from wxops.playbook.jinja.environment import Environment
from wxops.playbook.jinja.sandbox import Jinja

PLAY = """
- hosts: all
  gather_facts: false
  vars:
    root: "{{ base }}/{{ inventory_hostname }}"
    base: "/tmp/{{ 'x' }}"
  tasks:
  - name: "each {{ root }}"
    debug: {msg: "{{ item }} in {{ root }}"}
    loop: "{{ [1, 2] | map('string') | list }}"
    when: item != '3' and root is defined
    register: said
    changed_when: said.msg is search('nowhere')
    failed_when: [said.msg is not defined]
  - template: {src: t.j2, dest: "{{ playbook_dir }}/{{ inventory_hostname }}.out"}
  - set_fact: {later: "{{ root | upper }}"}
  - assert: {that: ["later is search('TMP')", "inventory_hostname in later | lower"]}
    until: later is defined
    retries: 2
"""


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each text was compiled, in an environment that knows none yet."""
    counted: Counter[str] = Counter()
    parsed, expression = Jinja.parsed, Jinja.parsed_expression
    fresh = Environment()
    monkeypatch.setattr("wxops.playbook.templating.shared", lambda: fresh)
    monkeypatch.setattr(
        Jinja, "parsed", lambda self, text, file=None: counted.update([text]) or parsed(self, text, file)
    )
    monkeypatch.setattr(Jinja, "parsed_expression", lambda self, text: counted.update([text]) or expression(self, text))
    return counted


@pytest.mark.parametrize("hosts", [1, 7])
def test_every_template_and_condition_is_compiled_once_whatever_the_number_of_hosts(
    hosts: int, compilations: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (tmp_path / "hosts.ini").write_text("".join(f"h{number} {here}\n" for number in range(hosts)))
    (tmp_path / "site.yml").write_text(PLAY)
    (tmp_path / "t.j2").write_text("{% for each in [1, 2] %}{{ root }}\n{% endfor %}")
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "hosts.ini", "site.yml", "--output", "jsonl"])
    with pytest.raises(SystemExit) as ended:
        main()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ended.value.code == 0, events
    assert len([event for event in events if event["event"] == "task"]) == 4 * hosts
    assert {"item != '3' and root is defined", "{{ root | upper }}"} <= compilations.keys()
    assert {text: times for text, times in compilations.items() if times > 1} == {}


def test_hosts_that_come_to_a_template_at_the_same_time_share_one_compilation(
    compilations: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    start, known = threading.Barrier(16), Environment()
    found: list[object] = []

    def come() -> None:
        start.wait()
        found.append(known.inline("{{ a }} and {{ b | default('c') }}"))
        found.append(known.expression("a is defined and b"))

    try:
        hosts = [threading.Thread(target=come) for _ in range(16)]
        for host in hosts:
            host.start()
        for host in hosts:
            host.join()
    finally:
        sys.setswitchinterval(before)
    assert set(compilations.values()) == {1} and len(set(map(id, found))) == 2
