"""What an operator does wrong is answered by a sentence that helps, never by a traceback. Cases: wrong_input.yml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = yaml.safe_load((Path(__file__).parent / "wrong_input.yml").read_text())
BIN = Path(sys.executable).parent


def shell(line: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(directory), "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run(
        ["sh", "-c", line], cwd=directory, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", start_new_session=True,  # away from the terminal of who runs the tests
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_is_answered_by_a_sentence(case: dict[str, Any], tmp_path: Path) -> None:
    for name, content in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = shell(f"{case.get('before', '')} wxops {case['run']}", tmp_path)
    for part in case.get("says", []):
        assert part in done.stderr
    for part in case.get("never", []):
        assert part not in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == case.get("code", 1), done.stderr


def test_a_home_that_cannot_be_written_is_named_before_a_host_is_reached(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("- hosts: all\n  tasks: []\n")
    done = shell("wxops run site.yml -i 192.0.2.1,", tmp_path, HOME="/proc/none")
    assert done.returncode == 1
    assert "the run record cannot be written" in done.stderr
    assert "XDG_STATE_HOME" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("output", ["plain", "jsonl"])
def test_chinese_is_shown_as_well_as_the_terminal_can(encoding: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(
        "- name: 部署\n  hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks: []\n", encoding="utf-8"
    )
    done = shell(f"wxops run site.yml -i localhost, --output {output}", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert ("部署" if encoding == "utf-8" else r"\u90e8\u7f72") in done.stdout


def test_a_bug_of_ours_is_one_line_and_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import wxops.playbook.settings as settings\n"
        "def load(start='.'):\n    raise KeyError('a password')\n"
        "settings.Settings.load = staticmethod(load)\n"
    )
    done = shell("wxops inventory list -i h,", tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "this is a bug in wxops: KeyError at " in done.stderr
    assert "a password" not in done.stderr
    (report,) = (tmp_path / ".local/state/wxops/crashes").iterdir()
    assert str(report) in done.stderr
    assert "Traceback" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600


def test_help_imports_nothing_that_takes_time(tmp_path: Path) -> None:
    script = "import sys; sys.argv = ['wxops', '--help']; from wxops.cli.main import main; main()"
    done = shell(f'{sys.executable} -X importtime -c "{script}"', tmp_path)
    assert "provision" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported & {"paramiko", "fabric", "jinja2", "yaml", "rich", "docker", "cryptography", "asyncio"} == set()
