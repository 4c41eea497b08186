"""What rsync says that it changes, and how it is told to reach a host."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from wxops.actions import Reach
from wxops.actions.synchronize import MARK, Remote, _options, items_of
from wxops.errors import TaskFailed
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.ssh_command import ssh_command

DEFAULTS: dict[str, Any] = {
    "archive": True, "checksum": False, "compress": False, "delete": False, "dirs": False, "existing_only": False,
    "copy_links": False, "delay_updates": False, "recursive": None, "links": None, "perms": None, "times": None,
    "owner": None, "group": None, "rsync_timeout": 0, "rsync_path": None, "dest_port": None, "private_key": None,
    "set_remote_user": True,
}  # fmt: skip
HOST = ConnectionOptions("web1", "10.0.0.1", "ops", 2222, private_key="/k",
                         ssh_settings=(("ProxyJump", "gate"), ("StrictHostKeyChecking", "no")))  # fmt: skip


def remote(options: ConnectionOptions = HOST, become: Become | None = None, **given: Any) -> Remote:
    return Remote(Reach(options, become, False), {**DEFAULTS, **given})


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (">f+++++++++ a b", [">f+++++++++", "a b"]),
        ("cL+++++++++ link -> a", ["cL+++++++++", "link"]),
        ("*deleting   old/", ["*deleting", "old/"]),
        (".d..t...... ./", [".d..t......", "./"]),
        (r">f.st...... \#345\#217\#226", [">f.st......", "取"]),
        ("hf+++++++++ b => a", ["hf+++++++++", "b"]),
    ],
)
def test_an_item_that_rsync_names(line: str, item: list[str]) -> None:
    assert items_of(f"{MARK}{line}\n") == [item]


def test_what_is_no_item_is_none() -> None:
    assert items_of("sending incremental file list\n\nsent 100 bytes\n") == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["--archive"]),
        ({"owner": False, "times": True}, ["--archive", "--no-owner"]),
        ({"archive": False, "recursive": True}, ["--recursive"]),
        ({"delete": True, "checksum": True}, ["--archive", "--checksum", "--delete-after"]),
        ({"rsync_timeout": 9}, ["--archive", "--timeout=9"]),
    ],
)
def test_arguments_are_rsyncs_options(given: dict[str, Any], words: list[str]) -> None:
    assert _options({**DEFAULTS, **given}) == words


def test_ssh_is_told_what_the_connection_knows_and_checks_the_hosts_key() -> None:
    _, path, shell = remote(become=Become("root", flags="-H -E")).options()
    assert path == "--rsync-path=sudo -H -E -n -u root -- rsync"
    for part in ("Port=2222", "-i /k", " -- gate", "BatchMode=yes", "StrictHostKeyChecking=yes"):
        assert part in shell
    assert "StrictHostKeyChecking=no" not in shell
    assert remote().address("/srv") == "ops@10.0.0.1:/srv"
    assert remote(set_remote_user=False).address("/srv") == "10.0.0.1:/srv"


def test_the_tasks_own_port_key_and_rsync_come_first() -> None:
    _, path, shell = remote(dest_port=23, private_key="/other", rsync_path="/opt/rsync").options()
    assert "Port=23" in shell and "-i /other" in shell and "2222" not in shell
    assert path == "--rsync-path=/opt/rsync"


@pytest.mark.parametrize("become", [Become("root", password="x"), Become("root", method="su")])
def test_what_would_have_to_be_asked_for_is_refused(become: Become) -> None:
    with pytest.raises(TaskFailed, match="NOPASSWD"):
        remote(become=become)
    with pytest.raises(TaskFailed, match="by a key"):
        remote(ConnectionOptions("web1", "10.0.0.1", password="x"))


def test_several_jump_hosts_are_passed_in_their_order() -> None:
    jump = (("ProxyJump", "ann@first:23,second"), ("UserKnownHostsFile", "/known hosts"))
    words = ssh_command(ConnectionOptions("web1", "10.0.0.1", ssh_settings=jump))
    command = next(word for word in words if word.startswith("ProxyCommand="))
    assert shlex.split(command)[-4:] == ["-W", "[%h]:%p", "--", "second"]
    inner = next(word for word in shlex.split(command)[1:] if word.startswith("ProxyCommand="))
    assert shlex.split(inner)[-8:] == ["-l", "ann", "-p", "23", "-W", "[%%h]:%%p", "--", "first"]
    assert "UserKnownHostsFile=/known hosts" in shlex.split(inner)


def test_this_machine_needs_no_ssh() -> None:
    local = ConnectionOptions("localhost", "localhost", connection="local")
    here = remote(local)
    assert here.options() == [] and here.address("/srv/x") == "/srv/x"
    with pytest.raises(TaskFailed, match="on this machine"):
        remote(local, Become("root"))
