"""What the copies that run differ in from the suite, for both engines.

A failed assertion ends a target and would hide all tasks after it: both go on. A module or plugin that a target brings
along is Python for ansible-core, which wxops refuses before it runs anything: such tasks are left out.
Line numbers stay those of the suite: a line that was put in is taken out of the account again.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from pathlib import Path

MARK = "# goes on"
ASSERT = re.compile(r"^(?P<indent> *)(?P<dash>- +)?(?:ansible\.builtin\.)?assert:")
MODULE = re.compile(r"^ *(?P<dash>- +)?(?P<name>[\w.]+):")
PLUGINS = ("library", "action_plugins")
ALREADY = ("ignore_errors", "failed_when", "until")


def go_on(folder: Path) -> None:
    """Let the assertions in the YAML files of a target fail without ending the play, and the tests of its script."""
    brought = {path.stem for kind in PLUGINS for path in folder.rglob(f"{kind}/[!_]*")}
    script = folder / "runme.sh"
    if script.exists():
        text = script.read_text(encoding="utf-8")
        script.write_text(re.sub(r"^set -[eux]+( -o pipefail)?$", "set +e", text, flags=re.MULTILINE), encoding="utf-8")
    for path in folder.rglob("*.y*ml"):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        lines = text.splitlines(keepends=True)
        kept = _without(lines, brought)
        changed = [new for number, line in enumerate(kept) for new in _line(kept, number, line)]
        if changed != lines:
            path.write_text("".join(changed), encoding="utf-8", errors="surrogateescape")


def _without(lines: list[str], modules: set[str]) -> list[str]:
    """The lines, those of tasks with these modules as comments."""
    kept = list(lines)
    for number, line in enumerate(lines):
        match = MODULE.match(line)
        if match is None or match["name"] not in modules:
            continue
        start = number
        while not match["dash"] and start > 0 and not lines[start].lstrip().startswith("- "):
            start -= 1
        depth, end = _depth(lines[start]), number + 1
        while end < len(lines) and (not lines[end].strip() or _depth(lines[end]) > depth):
            end += 1
        kept[start:end] = [f"#{each}" for each in lines[start:end]]
    return kept


def _line(lines: list[str], number: int, line: str) -> list[str]:
    match = ASSERT.match(line)
    if match is None:
        return [line]
    indent = len(match["indent"]) + len(match["dash"] or "")
    if any(word in each for each in _task(lines, number, indent, bool(match["dash"])) for word in ALREADY):
        return [line]
    first = match["indent"] + (match["dash"] or "")
    return [f"{first}ignore_errors: true {MARK}\n", " " * indent + line[len(first) :]]


def _task(lines: list[str], number: int, indent: int, first: bool) -> list[str]:
    """The keywords of the task around a line, its first one or not: what stands as deep, up to another task."""
    start = number
    while not first and start > 0 and (not lines[start].strip() or _depth(lines[start]) >= indent):
        start -= 1
    end = number + 1
    while end < len(lines) and (not lines[end].strip() or _depth(lines[end]) >= indent):
        end += 1
    return [each for at, each in enumerate(lines[start:end], start) if at == start or _depth(each) == indent]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


class Lines:
    """Which line of the suite a line of its copy is."""

    def __init__(self) -> None:
        self._added: dict[str, list[int]] = {}

    def original(self, path: Path, line: int) -> int:
        """The line before anything was put into the file, lines counted from 1."""
        if str(path) not in self._added:
            text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""
            self._added[str(path)] = [n for n, each in enumerate(text.splitlines(), 1) if each.endswith(MARK)]
        return line - bisect_left(self._added[str(path)], line)
