"""Facts that outlive a run, when they count, and which hosts a play asks for theirs."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main
from wxops.engine.fact_cache import FactCache, cache_of
from wxops.engine.state import HostState
from wxops.errors import InputError
from wxops.playbook.secrets import SecretRegistry

SHOW = "- debug: {msg: \"{{ ansible_facts.system | default('none') }} {{ kept | default('none') }}\"}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hosts").write_text("h1 ansible_connection=local\nh2 ansible_connection=local\n")
    (tmp_path / "wxops.toml").write_text(
        'inventory = "hosts"\nfact_caching = "jsonfile"\nfact_caching_connection = "facts"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def play(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, play: str, *flags: str) -> dict[str, Any]:
    """What debug showed on each host, and under "asked" the hosts whose facts were gathered."""
    (project / "site.yml").write_text(play)
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "site.yml", "--output", "jsonl", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, out + err
    told = [event for event in map(json.loads, out.splitlines()) if event["event"] == "task"]
    shown = {event["host"]: event["result"]["msg"] for event in told if event["module"] == "debug"}
    return {**shown, "asked": sorted(event["host"] for event in told if event["module"] == "setup")}


GATHER = "- hosts: all\n  gather_subset: ['!all', min]\n  tasks:\n    - set_fact: {kept: yes it is, cacheable: true}\n"
LOOK = f"- hosts: all\n  gather_facts: false\n  tasks:\n    {SHOW}"


def test_facts_of_one_run_are_there_in_the_next_and_flushed_on_demand(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    play(project, monkeypatch, capsys, GATHER)
    known = "Linux yes it is"
    assert play(project, monkeypatch, capsys, LOOK) == {"h1": known, "h2": known, "asked": []}
    other = "- hosts: h1\n  gather_facts: false\n  tasks:\n    - debug: {msg: '{{ hostvars.h2.ansible_system }}'}\n"
    assert play(project, monkeypatch, capsys, other)["h1"] == "Linux"
    assert play(project, monkeypatch, capsys, LOOK, "--flush-cache")["h1"] == "none none"
    assert not list((project / "facts").iterdir())


def test_the_files_are_ansibles_and_only_their_owner_reads_them(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    play(project, monkeypatch, capsys, GATHER)
    file = project / "facts" / "s1_h1"
    assert file.stat().st_mode & 0o777 == 0o600
    facts = json.loads(json.loads(file.read_text())["__payload__"])
    assert (facts["ansible_system"], facts["kept"], facts["module_setup"]) == ("Linux", "yes it is", True)


def test_meta_clear_facts_clears_what_is_kept(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    play(project, monkeypatch, capsys, GATHER)
    clear = "- hosts: h1\n  gather_facts: false\n  tasks:\n    - meta: clear_facts\n"
    play(project, monkeypatch, capsys, clear)
    assert play(project, monkeypatch, capsys, LOOK) == {"h1": "none none", "h2": "Linux yes it is", "asked": []}


@pytest.mark.parametrize(
    ("gathering", "said", "asked"),
    [
        ("implicit", "", ["h1", "h2"]), ("implicit", "gather_facts: false", []),
        ("explicit", "", []), ("explicit", "gather_facts: true", ["h1", "h2"]),
        ("smart", "", ["h2"]), ("smart", "gather_facts: true", ["h2"]), ("smart", "gather_facts: false", []),
    ],
)  # fmt: skip
def test_gathering_says_which_hosts_are_asked(
    gathering: str, said: str, asked: list[str], project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    play(project, monkeypatch, capsys, GATHER.replace("all\n", "h1\n"))
    monkeypatch.setenv("ANSIBLE_GATHERING", gathering)
    found = play(project, monkeypatch, capsys,
                 f"- hosts: all\n  gather_subset: ['!all', min]\n  {said}\n  tasks:\n    {SHOW}")  # fmt: skip
    assert found["asked"] == asked


def test_what_is_too_old_or_no_cache_does_not_count(tmp_path: Path) -> None:
    cache, secrets = FactCache(tmp_path, 100), SecretRegistry()
    state = HostState("h1")
    state.learn({"ansible_x": 1})
    cache.keep([state], secrets)
    assert cache.recall("h1").facts == {"ansible_x": 1}
    then = time.time() - 200
    os.utime(tmp_path / "s1_h1", (then, then))
    assert cache.recall("h1").facts == {}
    assert FactCache(tmp_path, 0).recall("h1").facts == {"ansible_x": 1}
    (tmp_path / "s1_h2").write_text("{nonsense")
    assert cache.recall("h2").facts == {}


def test_a_fact_with_a_secret_in_it_is_not_kept(tmp_path: Path) -> None:
    cache, secrets = FactCache(tmp_path), SecretRegistry()
    secrets.add("hunter22")
    state = HostState("h1")
    state.learn({"plain": 1, "token": "x hunter22"})
    cache.keep([state], secrets)
    assert cache.recall("h1").facts == {"plain": 1}
    assert "hunter22" not in (tmp_path / "s1_h1").read_text()


def test_a_host_cannot_leave_itself_another_connection_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "s1_h1").write_text(json.dumps({"__payload__": json.dumps({"ansible_host": "evil", "a": 1})}))
    assert FactCache(tmp_path).recall("h1").facts == {"a": 1}


@pytest.mark.parametrize(
    ("caching", "connection", "error"),
    [("redis", "x", "fact_caching 'redis' is not known"), ("jsonfile", None, "needs a directory")],
)
def test_a_cache_that_is_none_is_refused(caching: str, connection: str | None, error: str) -> None:
    with pytest.raises(InputError, match=error):
        cache_of(caching, connection, 0, "")


def test_local_facts_come_from_the_path_that_the_play_names(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (project / "facts.d").mkdir()
    (project / "facts.d" / "site.fact").write_text('{"rack": 4}')
    (project / "facts.d" / "said.fact").write_text("#!/bin/sh\necho '[unit]\nname = b7'\n")
    (project / "facts.d" / "said.fact").chmod(0o755)
    text = (
        "- hosts: h1\n  fact_path: '{{ playbook_dir }}/facts.d'\n  gather_subset: ['!all', local]\n  tasks:\n"
        "    - debug: {msg: '{{ ansible_local.site.rack }} {{ ansible_facts.local.said.unit.name }}'}\n"
    )
    shown = play(project, monkeypatch, capsys, text)
    assert shown["h1"] == "4 b7"


@pytest.mark.parametrize(("said", "found"), [("", True), ("ansible_python_interpreter=auto_silent", True),
                                             (f"ansible_python_interpreter={sys.executable}", False)])  # fmt: skip
def test_the_python_that_was_looked_for_is_told(
    said: str, found: bool, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (project / "hosts").write_text(f"h1 ansible_connection=local {said}\n")
    task = "- debug: {msg: '{{ discovered_interpreter_python is defined }} {{ ansible_facts.python.executable }}'}\n"
    shown = play(project, monkeypatch, capsys, f"- hosts: h1\n  gather_subset: ['!all', min]\n  tasks:\n    {task}")
    assert shown["h1"].startswith(f"{found} /")
    assert found or shown["h1"] == f"False {sys.executable}"


def test_facts_are_no_variables_of_their_own_where_that_is_set(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", "false")
    told = "{{ ansible_kernel is defined }} {{ ansible_facts.system }} {{ ansible_local }} "
    told += "{{ 'ansible_kernel' in hostvars.h1 }}"
    text = f"- hosts: h1\n  gather_subset: ['!all', min]\n  tasks:\n    - debug: {{msg: \"{told}\"}}\n"
    assert play(project, monkeypatch, capsys, text)["h1"] == "False Linux {} False"
