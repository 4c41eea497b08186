"""The Tab key in real shells: what `wxops completion SHELL` prints completes commands, modules, runs and hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
RUN = "20261122-181500-3f9c"

BASH = """
source <(wxops completion bash)
compopt() {{ printf 'compopt %s %s\\n' "$@"; }}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_wxops_completion wxops
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# zsh takes completions only in its line editor, so the functions that would hand them over print them.
ZSH = """
compdef() {{ :; }}; _path_files() {{ :; }}
compadd() {{ print -rl -- "${{(@P)argv[-1]}}"; }}
_describe() {{ local one; for one in "${{(@P)argv[3]}}"; do print -r -- "${{one%%:*}}"; done; }}
eval "$(wxops completion zsh)"
words=({words}); CURRENT=${{#words}}
_wxops_completion
"""
FISH = "wxops completion fish | source; complete --do-complete '{line}'"

CASES = [
    ("wxops pro", {"provision"}),
    ("wxops doc docker_c", {"docker_container"}),
    ("wxops runs show 2026", {RUN}),
    ("wxops rollback 2026", {RUN}),
    ("wxops run site.yml -i hosts.ini -l gp", {"gpu", "gpu1", "gpu2"}),
    ("wxops run site.yml -i hosts.ini -l edge,gp", {"edge,gpu", "edge,gpu1", "edge,gpu2"}),
    ("wxops inventory ping -i hosts.ini ed", {"edge", "edge1"}),
    ("wxops run --output js", {"jsonl"}),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an inventory and one recorded run."""
    (tmp_path / "wxops.toml").write_text("")
    (tmp_path / "hosts.ini").write_text("[gpu]\ngpu[1:2]\n[edge]\nedge1\n")
    (tmp_path / "site.yml").write_text("[]")
    record = tmp_path / ".wxops" / "runs" / RUN
    record.mkdir(parents=True)
    (record / "run.json").write_text(json.dumps({"run": RUN, "playbooks": ["site.yml"]}))
    return tmp_path


def offered(shell: str, line: str, directory: Path) -> set[str]:
    script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(line=line, words=line)
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *flags, "-c", script], cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(directory), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return {text.partition("\t")[0] for text in done.stdout.splitlines() if text}


# click separates what it tells fish by commas, so a name with one cannot be offered there.
IN_EACH_SHELL = [
    pytest.param(shell, line, wanted, id=f"{shell}: {line}")
    for line, wanted in CASES
    for shell in ("bash", "zsh", "fish")
    if shell != "fish" or "," not in line
]


@pytest.mark.parametrize(("shell", "line", "wanted"), IN_EACH_SHELL)
def test_tab_offers(shell: str, line: str, wanted: set[str], project: Path) -> None:
    assert offered(shell, line, project) == wanted


def test_bash_completes_the_files_that_a_command_takes(project: Path) -> None:
    for line in ("wxops run si", "wxops run site.yml -i ho", "wxops run site.yml --private-key ~/.ssh/id"):
        assert offered("bash", line, project) == {"compopt -o default"}


def test_a_broken_inventory_offers_nothing_and_says_nothing(project: Path) -> None:
    (project / "hosts.ini").write_text("[gpu\n")
    assert offered("bash", "wxops run site.yml -i hosts.ini -l g", project) == set()
