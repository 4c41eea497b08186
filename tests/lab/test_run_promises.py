"""What a run promises whatever its playbook says: mistakes stay where they are made, what is hidden stays hidden."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.module_case import ManagedHost, Played
from wxops.lab import Lab

SECRET = "Vault-secret-zzz999"


@pytest.fixture
def both(managed: ManagedHost, lab: Lab) -> ManagedHost:
    """Two hosts in one play."""
    managed.play_keywords = {"gather_facts": False}
    return managed


def play_both(both: ManagedHost, tasks: str, **keywords: Any) -> Played:
    return both.play(tasks, options={"limit": None}, **keywords)


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ("retries: '{{ n }}', until: false", "retries should be a number"),
        ("delay: '{{ n }}', until: true", "delay should be a number"),
        ("timeout: '{{ n }}'", "timeout should be a number"),
        ("environment: '{{ n }}'", "environment should be a mapping"),
        ("loop: [1], loop_control: {label: '{{ nope if inventory_hostname == wrong else 1 }}'}", "nope"),
        ("delegate_to: '{{ nope }}', delegate_facts: true", "nope"),
    ],
)
def test_one_hosts_wrong_value_fails_that_host_alone(both: ManagedHost, lab: Lab, keywords: str, reason: str) -> None:
    wrong = lab.hosts[0].name
    tasks = f"""
- set_fact: {{n: x, wrong: {wrong}}}
- {{command: 'true', when: inventory_hostname == '{wrong}', {keywords}}}
- command: echo goes on
"""
    played = play_both(both, tasks)
    assert played.exit_code == 2
    (failed,) = [result for result in played.results if result.status == "failed"]
    assert failed.host == wrong and reason in str(failed.result) and "bug" not in str(failed.result)
    assert [result.host for result in played.results if result.module == "command"][-1] != wrong


def test_a_timeout_ends_a_command_and_leaves_the_next_task_alone(managed: ManagedHost) -> None:
    started = time.monotonic()
    played = managed.play("""
- {shell: sleep 30, timeout: 1, ignore_errors: true, register: slow}
- {wait_for: {path: /nowhere, timeout: 30}, timeout: 1, ignore_errors: true}
- {shell: sleep 0.1; echo done, timeout: 10}
- {pause: {seconds: 30}, timeout: 1, ignore_errors: true}
""")
    assert played.statuses == ["ignored", "ignored", "changed", "ignored"], played.told()
    assert played.results[0].result["msg"] == "Timed out after 1 second(s)."
    assert time.monotonic() - started < 25


def test_a_change_that_the_playbook_calls_none_is_taken_back_all_the_same(managed: ManagedHost) -> None:
    played = managed.play([{"copy": {"content": "x", "dest": "/srv/quiet"}, "changed_when": False},
                           {"command": "true"}, {"command": "true", "changed_when": False}])  # fmt: skip
    assert played.statuses == ["ok", "changed", "ok"]
    assert managed.rollback(played.run).exit_code == 0
    assert not (managed.host.root / "srv/quiet").exists()


def test_what_diff_false_hides_no_rollback_shows(managed: ManagedHost) -> None:
    hidden = "kept-from-the-screen"
    played = managed.play([{"copy": {"content": hidden, "dest": "/srv/hidden"}, "diff": False}])
    back = managed.rollback(played.run)
    assert hidden not in str(played.events) + str(back.events)
    assert set(back.statuses) == {"changed"} and not (managed.host.root / "srv/hidden").exists()


def test_a_secret_that_a_run_took_away_is_not_shown_by_its_rollback(managed: ManagedHost) -> None:
    (managed.folder / "secrets.yml").write_text(yaml.safe_dump({"password": SECRET}))
    vault = managed.folder / "vault"
    vault.write_text("open sesame")
    from wxops.playbook.vault_passwords import vault_keys

    keys = vault_keys(password_files=[str(vault)])
    (managed.folder / "secrets.yml").write_text(keys.encrypt(f"password: {SECRET}\n"))
    options: dict[str, Any] = {"vars_files": ["secrets.yml"], "options": {"vault": keys}}
    write = managed.play([{"copy": {"content": "pw={{ password }}", "dest": "/srv/pw"}}], **options)
    remove = managed.play([{"file": {"path": "/srv/pw", "state": "absent"}}], **options)
    back = managed.rollback(remove.run)
    assert (managed.host.root / "srv/pw").read_text() == f"pw={SECRET}"
    again = managed.rollback(write.run)
    assert SECRET not in str([played.events for played in (write, remove, back, again)])
    assert not (managed.host.root / "srv/pw").exists()


def test_an_inverse_that_fails_does_not_tell_what_no_log_hid(managed: ManagedHost) -> None:
    played = managed.play([{"command": "true", "no_log": True, "rollback": "false TOKEN-987"}])
    back = managed.rollback(played.run)
    assert back.exit_code == 2 and "TOKEN-987" not in str(back.events)


def test_what_was_changed_before_an_unknown_handler_is_recorded_and_taken_back(managed: ManagedHost) -> None:
    from wxops.errors import WxopsError

    with pytest.raises(WxopsError, match="there is no handler 'nobody'"):
        managed.play([{"copy": {"content": "x", "dest": "/srv/notified"}, "notify": "nobody"}])
    assert (managed.host.root / "srv/notified").exists()
    assert managed.rollback().exit_code == 0
    assert not (managed.host.root / "srv/notified").exists()


def test_a_second_playbook_waits_for_the_success_of_the_first(managed: ManagedHost, tmp_path: Path) -> None:
    for name, task in (("first", {"fail": {"msg": "no"}}), ("second", {"command": "true"})):
        play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
        (managed.folder / f"{name}.yml").write_text(yaml.safe_dump([play]))
    played = managed.run(managed.folder / "first.yml", managed.folder / "second.yml")
    assert played.exit_code == 2 and [result.module for result in played.results] == ["fail"]


def test_facts_do_not_redirect_a_hosts_connection(managed: ManagedHost) -> None:
    """A host that was taken over answers with facts of its own making."""
    folder = managed.host.root / "etc/ansible/facts.d"
    played = managed.play("""
- name: a module of the host that returns such facts
  setup: {gather_subset: [min]}
- set_fact: {ansible_note: kept}
- assert: {that: [ansible_note == 'kept', ansible_connection is not defined or ansible_connection == 'ssh']}
""")
    assert played.exit_code == 0, played.told()
    assert not folder.exists()
