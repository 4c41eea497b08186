"""OpenSSH's client settings as paramiko gets them: variables first, Include as OpenSSH reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.errors import InputError
from wxops.transport import ssh_config


def lookup(tmp_path: Path, text: str, host: str = "gpu1", **settings: str) -> dict[str, object]:
    (tmp_path / "config").write_text(text)
    chosen = (*settings.items(), ("ConfigFile", str(tmp_path / "config")))
    return dict(ssh_config.load(chosen).lookup(host))


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    assert lookup(tmp_path, "Host gpu1\n  Port 2022\n", Port="2222")["port"] == "2222"


def test_what_follows_an_include_is_in_the_scope_before_it(tmp_path: Path) -> None:
    (tmp_path / "edge").write_text("Host edge*\n  User edge\n")
    text = f"Include {tmp_path}/edge\nPort 2022\nHost gpu1\n  User root\n"
    assert lookup(tmp_path, text)["port"] == "2022"
    assert lookup(tmp_path, text)["user"] == "root"
    assert lookup(tmp_path, text, "edge7")["user"] == "edge"


def test_a_match_block_is_understood(tmp_path: Path) -> None:
    assert lookup(tmp_path, "Match host gpu*\n  User ops\n")["user"] == "ops"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as refused:
        lookup(tmp_path, "Match nonsense\n  User ops\n")
    assert str(tmp_path / "config") in str(refused.value)


def test_includes_that_go_round_end(tmp_path: Path) -> None:
    assert lookup(tmp_path, f"Include {tmp_path}/config\nHost gpu1\n  User root\n")["user"] == "root"
