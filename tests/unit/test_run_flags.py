"""The flags of `wxops run` that ansible-playbook has: the same names, and a clear no to those without a meaning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from wxops.cli import options as flags
from wxops.cli.run import run
from wxops.errors import InputError
from wxops.playbook.settings import Settings
from wxops.transport.options import connection_options

# What `ansible-playbook --help` of ansible-core 2.19 names.
THEIRS = """-h --help --version -v --verbose --private-key --key-file -u --user -c --connection -T --timeout
    --ssh-common-args --sftp-extra-args --scp-extra-args --ssh-extra-args -k --ask-pass --connection-password-file
    --conn-pass-file --force-handlers -b --become --become-method --become-user -K --ask-become-pass
    --become-password-file --become-pass-file -t --tags --skip-tags -C --check -D --diff -i --inventory
    --inventory-file --list-hosts -l --limit --flush-cache -e --extra-vars --vault-id -J --ask-vault-password
    --ask-vault-pass --vault-password-file --vault-pass-file -f --forks -M --module-path --syntax-check --list-tasks
    --list-tags --step --start-at-task""".split()  # noqa: SIM905


def options(**given: Any) -> Any:
    return flags.run_options(given, given.pop("settings", Settings()))


def test_every_flag_of_ansible_playbook_is_known() -> None:
    known = {name for parameter in run.params if isinstance(parameter, click.Option) for name in parameter.opts}
    assert set(THEIRS) - known - {"-h", "--help"} == set()


@pytest.mark.parametrize("flag", ["-M", "--module-path", "--scp-extra-args", "--sftp-extra-args"])
def test_a_flag_without_a_meaning_here_is_refused(flag: str) -> None:
    error = CliRunner().invoke(run, ["site.yml", "-i", "h,", flag, "x"]).exception
    assert isinstance(error, InputError) and str(error).startswith("--")


def test_version_is_told() -> None:
    assert re.match(r"wxops run, version \d", CliRunner().invoke(run, ["--version"]).output)


def test_flags_come_before_settings() -> None:
    settings = Settings(
        become=True, become_user="root", connection="local", tags=("a",), diff=True, verbosity=2, timeout=3.0
    )
    assert options(settings=settings).become_user == "root"
    given = options(settings=settings, become_user="ops", connection="ssh", tags=("b,c",), verbosity=1, timeout=4.0)
    assert (given.become_user, given.connection, given.tags, given.verbosity, given.timeout) == (
        "ops", "ssh", {"b", "c"}, 1, 4.0,
    )  # fmt: skip
    assert given.become and given.diff


def test_passwords_come_from_files_and_scripts(tmp_path: Path) -> None:
    file, script = tmp_path / "file", tmp_path / "script"
    file.write_text("of a file\n")
    script.write_text("#!/bin/sh\necho of a script\n")
    script.chmod(0o755)
    given = options(connection_password_file=str(file), become_password_file=str(script))
    assert (given.password, given.become_password) == ("of a file", "of a script")
    assert "of a" not in repr(given)


def test_an_empty_answer_to_the_second_password_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(
        "wxops.playbook.vault_passwords.getpass",
        lambda text: asked.append(text) or ("" if "BECOME" in text else "login"),
    )
    given = options(ask_pass=True, ask_become_pass=True)
    assert (given.password, given.become_password) == ("login", "login")
    assert asked == ["SSH password: ", "BECOME password [defaults to SSH password]: "]


@pytest.mark.parametrize(
    ("flag", "variables", "field", "value"),
    [
        ({"connection": "local"}, {}, "connection", "local"),
        ({"connection": "local"}, {"ansible_connection": "ssh"}, "connection", "ssh"),
        ({"port": 22}, {}, "port", 22),
        ({"interpreter": "/opt/py"}, {}, "interpreters", ("/opt/py",)),
        ({"interpreter": "/opt/py"}, {"ansible_python_interpreter": "/py"}, "interpreters", ("/py",)),
        ({"ssh_common_args": "-J hop"}, {}, "ssh_settings", (("ProxyJump", "hop"),)),
        ({"ssh_common_args": "-J hop"}, {"ansible_ssh_common_args": "-J b"}, "ssh_settings", (("ProxyJump", "b"),)),
        ({"ssh_args": "-C", "ssh_extra_args": "-p 3"}, {}, "ssh_settings", (("Port", "3"),)),
        ({"ssh_common_args": "-o StrictHostKeyChecking=no"}, {}, "accept_new", True),
    ],
)
def test_how_a_host_is_reached(flag: Any, variables: Any, field: str, value: Any) -> None:
    assert getattr(connection_options("gpu1", variables, **flag), field) == value


def test_an_argument_of_ssh_that_is_not_understood_is_refused() -> None:
    with pytest.raises(InputError, match="'-R' is not understood"):
        connection_options("gpu1", {}, ssh_extra_args="-R 1:b:2")
