"""Becoming another user on a real host: su and sudo, each task in its own way, with the password asked for once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.test_faults import project, write, wxops
from wxops.lab import OPS_PASSWORD, Lab
from wxops.lab.host import Host

__all__ = ["project"]  # a fixture
AS_OPS: dict[str, Any] = {"become": True, "become_method": "su", "become_user": "ops"}
WHO = {"command": "id -un", "register": "who", "changed_when": False}


@pytest.fixture
def clean(shared_host: Host) -> Iterator[Host]:
    yield shared_host
    shared_host.ssh("rm -rf /home/ops/become /usr/local/bin/my-su")


def play(project: Path, lab: Lab, tasks: list[Any], password: str | None = OPS_PASSWORD, user: str = "deploy",
         **keywords: Any) -> Any:  # fmt: skip
    """Log in as deploy, who has a key here and no right to be ops, but may be root without a password."""
    (project / "password").write_text(f"{password}\n")
    flags = ["--become-password-file", "password"] if password is not None else []
    path = write(project, tasks, **keywords)
    return wxops("run", str(path), "-l", lab.hosts[0].name, "-e", f"ansible_user={user}", *flags)


def shown(task: dict[str, Any], variable: str = "who.stdout") -> list[Any]:
    return [task, {"debug": {"var": variable}, "become": False}]


def test_su_with_the_password_of_the_other_user_who_then_owns_what_is_made(
    project: Path, lab: Lab, clean: Host
) -> None:
    tasks = [*shown(WHO), {"copy": {"content": "x\n", "dest": "/home/ops/become"}}]
    done = play(project, lab, tasks, **AS_OPS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"who.stdout": "ops"' in done.stdout
    assert clean.ssh("stat -c %U /home/ops/become").stdout == "ops\n"
    back = wxops("rollback", "--become-password-file", "password")
    assert back.returncode == 0, back.stdout + back.stderr
    assert clean.ssh("test -e /home/ops/become", check=False).returncode == 1


def test_a_wrong_password_of_su_is_said_and_tried_once(project: Path, lab: Lab, shared_host: Host) -> None:
    count = "journalctl -q _COMM=su | grep -c 'authentication failure' || true"
    before = int(shared_host.ssh(count).stdout)
    done = play(project, lab, [WHO, WHO], password="wrong", **AS_OPS)
    assert done.returncode == 2
    assert "su refuses the password of 'ops'" in done.stdout and "--ask-become-pass" in done.stdout
    time.sleep(0.5)
    assert int(shared_host.ssh(count).stdout) - before == 1


def test_without_a_password_su_is_not_waited_for(project: Path, lab: Lab) -> None:
    began = time.monotonic()
    done = play(project, lab, [WHO], password=None, **AS_OPS)
    assert done.returncode == 2
    assert "su on the host wants the password of 'ops'" in done.stdout and "(-K)" in done.stdout
    assert time.monotonic() - began < 8


def test_an_unknown_user_is_named(project: Path, lab: Lab) -> None:
    done = play(project, lab, [WHO], **{**AS_OPS, "become_user": "nobody-here"})
    assert done.returncode == 2
    assert "su on the host knows no user 'nobody-here'" in done.stdout


def test_each_task_becomes_whom_it_says_and_how(project: Path, lab: Lab) -> None:
    tasks = [
        *shown(WHO, "'first ' + who.stdout"),
        *shown({**WHO, "become": True}, "'second ' + who.stdout"),
        *shown({**WHO, **AS_OPS}, "'third ' + who.stdout"),
        *shown({**WHO, **AS_OPS, "vars": {"ansible_become_method": "sudo"}}, "'fourth ' + who.stdout"),
        *shown({**WHO, **AS_OPS, "become_user": "{{ item }}", "loop": ["ops", "deploy"]},
               "'fifth ' + (who.results | map(attribute='stdout') | join(','))"),
    ]  # fmt: skip
    done = play(project, lab, tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("first deploy", "second root", "third ops", "fourth ops", "fifth ops,deploy"):
        assert said in done.stdout


def test_become_exe_and_become_flags_are_taken(project: Path, lab: Lab, clean: Host) -> None:
    clean.ssh("printf '#!/bin/sh\\nBY=me exec su \"$@\"\\n' > /usr/local/bin/my-su; chmod 755 /usr/local/bin/my-su")
    by = {**WHO, "command": None, "shell": "echo $BY $(id -un)"}
    del by["command"]
    tasks = [
        *shown({**by, **AS_OPS, "become_exe": "/usr/local/bin/my-su"}, "'first ' + who.stdout"),
        *shown({**by, **AS_OPS, "vars": {"ansible_su_exe": "env BY=env su"}}, "'second ' + who.stdout"),
        *shown({**by, "become": True, "become_flags": "-H BY=flags"}, "'third ' + who.stdout"),
    ]
    done = play(project, lab, tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("first me ops", "second env ops", "third flags root"):
        assert said in done.stdout


def test_root_becomes_a_service_without_a_shell_by_the_flags_that_name_one(project: Path, lab: Lab) -> None:
    as_service = {"become": True, "become_method": "su", "become_user": "www-data"}
    done = play(project, lab, [WHO], None, "root", **as_service)
    assert done.returncode == 2 and "'www-data' has no shell on the host" in done.stdout
    done = play(project, lab, shown(WHO), None, "root", **as_service, become_flags="-s /bin/sh")
    assert '"who.stdout": "www-data"' in done.stdout, done.stdout + done.stderr
