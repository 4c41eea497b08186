"""The wheel that users install brings all that its commands read beside their code: tables, policies, pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WXOPS = "from wxops.cli.main import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel of this tree was installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", folder / "lib", wheel], check=True)
    return folder / "lib"


def python(installed: Path, code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process that finds wxops in that folder before any other, and nothing in the folder where it starts."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True,
                          cwd=installed.parent, env=environment)  # fmt: skip


def test_what_runs_is_the_wheel_and_not_this_tree(installed: Path) -> None:
    assert python(installed, "import wxops; print(wxops.__file__)").stdout.startswith(str(installed))


def test_every_file_that_is_no_code_came_along(installed: Path) -> None:
    kept = subprocess.run(["git", "ls-files", "wxops"], cwd=ROOT, capture_output=True, text=True, check=True)
    missing = [path for path in kept.stdout.split() if not (installed / path).exists()]
    assert missing == []


def test_the_rules_and_policies_of_an_audit_came_along(installed: Path) -> None:
    done = python(installed, WXOPS, "audit", "rules")
    assert (done.returncode, done.stderr) == (0, "")
    assert "driver.answers" in done.stdout
    schema = python(installed, WXOPS, "audit", "schema")
    assert (schema.returncode, schema.stdout[:1]) == (0, "{")


def test_an_audit_runs_on_this_machine_and_writes_its_page(installed: Path, tmp_path: Path) -> None:
    here, page = tmp_path / "hosts.ini", tmp_path / "audit.html"
    here.write_text("here ansible_connection=local\n")
    flags = ["--policy", "vllm-0.33", "--policy", "guide", "--for", "ernie-4.5-21b-a3b", f"--html={page}"]
    done = python(installed, WXOPS, "audit", "-i", here, *flags)
    assert done.returncode in (0, 2, 3), done.stderr
    assert "1 host in" in done.stdout
    assert page.read_text().startswith("<!doctype html>")
