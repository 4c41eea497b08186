"""CONTRIBUTING.md is true: its module and its cases, put where it says, pass on a real host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.documents import ROOT, files, shell_lines

DOCUMENT = "CONTRIBUTING.md"
OF_THE_TREE = ("wxops", "tests", "pyproject.toml")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the files that the page shows."""
    copy = tmp_path_factory.mktemp("tree")
    for name in OF_THE_TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    for name, text in files(DOCUMENT).items():
        assert not (copy / name).exists(), f"{name} of the example is a file of the repository by now"
        (copy / name).write_text(text)
    return copy


def run(tree: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.lab
def test_the_tests_that_the_page_names_pass_with_its_example(tree: Path) -> None:
    commands = [line.split()[1:] for line in shell_lines(DOCUMENT) if line.startswith(".venv/bin/pytest")]
    passed = {command[0]: run(tree, sys.executable, "-m", "pytest", "-q", *command) for command in commands}
    counts = {file: re.findall(r"(\d+) passed", told)[-1] for file, told in passed.items()}
    assert counts == {
        "tests/lab/test_modules.py": "2",
        "tests/unit/test_templating_cases.py": "1",
        "tests/unit/test_audit_rules.py": "10",
    }


def test_its_module_has_a_page(tree: Path) -> None:
    script = "import sys; sys.argv = ['wxops', 'doc', 'motd']; from wxops.cli.main import main; main()"
    page = run(tree, sys.executable, "-c", script)
    assert "Greet everybody who logs in." in page
    assert "text  [str; required]\n    what to say." in page


def test_its_files_keep_the_house_style(tree: Path) -> None:
    python = [name for name in files(DOCUMENT) if name.endswith(".py")]
    assert python
    # The name of the file in the first line is the page's.
    for name in python:
        (tree / name).write_text((tree / name).read_text().partition("\n")[2])
    run(tree, sys.executable, "-m", "ruff", "check", *python)
    run(tree, sys.executable, "-m", "ruff", "format", "--check", *python)
    run(tree, sys.executable, "-m", "mypy", *python)
