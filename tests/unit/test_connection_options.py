"""How a host is reached, from Ansible's variables: what is taken, what wins, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.errors import InputError
from wxops.transport.options import Become, ConnectionOptions, connection_options, ssh_settings
from wxops.transport.ssh import _address


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
