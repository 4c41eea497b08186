"""OpenSSH's client settings as paramiko gets them: variables first, Include as OpenSSH reads it."""

from __future__ import annotations

import subprocess
import sys
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


ALL_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from wxops.transport import ssh_config
with ThreadPoolExecutor(8) as pool:
    found = pool.map(lambda number: ssh_config.load((("ConfigFile", "config"),)).lookup(f"gpu{number}"), range(8))
print(*(f"{each['user']}:{each.get('port')}" for each in found))
"""
WHAT_IS_LOADED = "import sys, wxops.transport.ssh; print(*sys.modules)"


def python(code: str, folder: Path) -> list[str]:
    """The words that it prints, in a process that has loaded nothing yet."""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.split()


def test_a_match_block_may_ask_a_command_for_all_hosts_at_once(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Match exec true\n  User ops\nMatch exec false\n  Port 2222\n")
    assert python(ALL_AT_ONCE, tmp_path) == ["ops:None"] * 8


def test_what_only_match_exec_needs_is_loaded_for_it_alone(tmp_path: Path) -> None:
    loaded = python(WHAT_IS_LOADED, tmp_path)
    assert "paramiko" in loaded
    assert not {"invoke.context", "unittest.mock", "asyncio"} & set(loaded)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as refused:
        lookup(tmp_path, "Match nonsense\n  User ops\n")
    assert str(tmp_path / "config") in str(refused.value)


def test_includes_that_go_round_end(tmp_path: Path) -> None:
    assert lookup(tmp_path, f"Include {tmp_path}/config\nHost gpu1\n  User root\n")["user"] == "root"
