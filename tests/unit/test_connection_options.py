"""How a host is reached, from Ansible's variables: what is taken, what wins, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.engine.events import TaskResult
from wxops.engine.options import RunOptions
from wxops.engine.run import Project, Run
from wxops.errors import HostUnreachable, InputError
from wxops.playbook.inventory import Inventory
from wxops.transport.options import Become, ConnectionOptions, connection_options, ssh_settings
from wxops.transport.pipe import LocalPipe
from wxops.transport.ssh import SSHSession, _address


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({}, "host", "gpu1"),
        ({"ansible_host": "10.0.0.1"}, "host", "10.0.0.1"),
        ({"ansible_port": "2222"}, "port", 2222),
        ({"ansible_user": "ops"}, "user", "ops"),
        ({"ansible_connection": "smart"}, "connection", "ssh"),
        ({"ansible_python_interpreter": "/opt/py"}, "interpreters", ("/opt/py",)),
        ({"ansible_ssh_timeout": "3"}, "timeout", 3.0),
        ({"ansible_user": ""}, "user", None),
    ],
)
def test_a_variable_says_how(variables: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(connection_options("gpu1", variables), field) == value


def test_a_variable_wins_over_a_flag() -> None:
    assert connection_options("gpu1", {"ansible_user": "ops"}, user="root").user == "ops"
    assert connection_options("gpu1", {}, user="root").user == "root"


def test_an_unknown_connection_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="winrm"):
        connection_options("gpu1", {"ansible_connection": "winrm"})


def test_arguments_of_ssh_become_settings() -> None:
    found = ssh_settings("-o ProxyJump=a,b -J 'root@[::1]:22' -i ~/key -o 'UserKnownHostsFile /tmp/x' -C", "gpu1")
    assert found == (("ProxyJump", "a,b"), ("ProxyJump", "root@[::1]:22"), ("IdentityFile", "~/key"),
                     ("UserKnownHostsFile", "/tmp/x"))  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ansible_port": 99999}, "ansible_port of gpu1 is a whole number from 1 to 65535, not 99999"),
        ({"ansible_port": "abc"}, "ansible_port of gpu1 is a whole number from 1 to 65535, not 'abc'"),
        ({"ansible_port": [22]}, "ansible_port of gpu1 is a whole number"),
        ({"ansible_timeout": "abc"}, "ansible_timeout of gpu1 is a number of seconds above 0, not 'abc'"),
        ({"ansible_timeout": -1}, "ansible_timeout of gpu1 is a number of seconds above 0, not -1"),
        ({"ansible_timeout": "nan"}, "ansible_timeout of gpu1 is a number of seconds"),
        ({"wxops_keepalive": "inf"}, "wxops_keepalive of gpu1 is a number of seconds above 0, not 'inf'"),
        ({"ansible_ssh_common_args": "-o Port=70000"}, "not '70000'"),
        (
            {"ansible_ssh_common_args": "-J 'bastion"},
            "SSH arguments of gpu1 cannot be taken apart: no closing quotation",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name_and_its_host(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        connection_options("gpu1", variables)
    assert said in str(refused.value)


def test_a_host_whose_value_cannot_be_fails_alone(tmp_path: Path) -> None:
    """The others' tasks are done: here on this machine, which needs no login."""
    (tmp_path / "hosts.ini").write_text(
        "[all:vars]\nansible_connection=local\n"
        '[all]\ngood\nport ansible_port=abc\nquote ansible_ssh_common_args="-J \'x"\n'
    )
    (tmp_path / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: 'true'\n      changed_when: false\n"
    )
    project = Project.load(Inventory.load([str(tmp_path / "hosts.ini")]), [tmp_path / "site.yml"], RunOptions())
    events: list[Any] = []
    assert Run(project, events.append, tmp_path / "runs").execute() == 2
    told = {
        event.host: (event.status, event.result.get("msg", "")) for event in events if isinstance(event, TaskResult)
    }
    assert told["good"][0] == "ok"
    assert told["port"] == ("failed", "ansible_port of port is a whole number from 1 to 65535, not 'abc'")
    assert told["quote"][0] == "failed"
    assert "SSH arguments of quote" in told["quote"][1]


def test_a_proxy_command_that_is_not_there_is_named() -> None:
    options = ConnectionOptions("gpu1", "192.0.2.1", ssh_settings=(("ProxyCommand", "/no/such/program %h"),))
    with pytest.raises(
        HostUnreachable, match=r"the ProxyCommand of gpu1 cannot be run: .*: /no/such/program 192\.0\.2\.1"
    ):
        SSHSession(options)


def test_a_machine_without_sudo_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnreachable, match="sudo is not installed on this machine"):
        LocalPipe(["sudo", "true"])


def test_an_argument_that_is_not_understood_is_refused() -> None:
    with pytest.raises(InputError, match="'-N'"):
        ssh_settings("-N", "gpu1")


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("gate", ("gate", None, None)),
        ("ops@gate:2222", ("gate", "ops", 2222)),
        ("ssh://gate", ("gate", None, None)),
        ("root@[fd00::1]:22", ("fd00::1", "root", 22)),
    ],
)
def test_a_jump_host_is_an_address(hop: str, address: tuple[str, str | None, int | None]) -> None:
    assert _address(hop) == address


def test_passwords_do_not_show_when_options_are_printed() -> None:
    assert "hunter2" not in repr(ConnectionOptions("a", "a", password="hunter2")) + repr(Become(password="hunter2"))
