"""Results, diffs and errors as Ansible's own output writes them, so that what reads it need not be changed."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wxops.playbook.vault import is_encrypted

WIDTH = 79
LONGEST_SOURCE = 120
HIDDEN = frozenset({"failed", "skipped", "steps", "ms", "warnings", "deprecations", "exception"})
WITH_VVV = frozenset({"diff", "invocation"})
ALWAYS_SHOWN, NEVER_SHOWN = ("debug", "assert"), ("setup", "gather_facts")
NOT_OF_DEBUG = frozenset({"changed", "skip_reason", "ansible_loop_var", "ansible_index_var", "ansible_loop"})
CENSORED = "the output has been hidden due to the fact that 'no_log: true' was specified for this result"
CENSORED_ITEM = "(censored due to no_log)"


def banner(text: str, width: int = WIDTH) -> str:
    """`PLAY [x] ****` to the width of a line, three stars at least."""
    return f"{text} {'*' * max(3, width - columns(text))}"


def columns(text: str) -> int:
    """How wide it is on a terminal; a Chinese character takes two columns."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else not unicodedata.combining(each) for each in text)


def dump(module: str, result: Mapping[str, Any], verbosity: int, of_loop: bool = False, quiet: bool = False) -> str:
    """A result as JSON: on one line, or indented where it is meant to be read."""
    shown = {name: value for name, value in result.items() if name not in HIDDEN}
    if verbosity < 3:
        shown = {name: value for name, value in shown.items() if name not in WITH_VVV}
    if of_loop:
        shown.pop("results", None)
    if "censored" in shown:
        shown["censored"] = CENSORED
    if module == "debug":
        shown = {"msg": shown["msg"]} if "msg" in shown else {n: v for n, v in shown.items() if n not in NOT_OF_DEBUG}
    read = (module == "assert" and not quiet) or (module == "debug" and not result.get("failed"))
    indent = 4 if read or verbosity > 2 else None
    return json.dumps(shown, indent=indent, ensure_ascii=False, sort_keys=True, default=str)


def label(item: Any) -> str:
    """The label of a loop's item."""
    return str(_bare(item))


def _bare(value: Any) -> Any:
    """Texts that know where they were written show themselves as texts."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_bare(key): _bare(each) for key, each in value.items()}
    return [_bare(each) for each in value] if isinstance(value, list | tuple) else value


def error(message: str, where: str, source: bool = True) -> Iterator[str]:
    """What went wrong, where it is written, and the lines there. source: may the lines be shown?"""
    yield f"[ERROR]: {message}"
    if where:
        yield f"Origin: {where}"
        yield ""
        if source:
            yield from _lines_of(where)
            yield ""


def _lines_of(where: str) -> Iterator[str]:
    """The line and two before it, with a mark below its column."""
    file, line, column = [*where.rsplit(":", 2), "", ""][:3]
    try:
        text = Path(file).read_text(encoding="utf-8")
        number, at = int(line), int(column)
    except (OSError, ValueError):
        return
    lines = text.splitlines()
    if is_encrypted(text) or number > len(lines):
        return
    width = len(str(number))
    for count in range(max(1, number - 2), number + 1):
        written = lines[count - 1].replace("\t", " ")[: LONGEST_SOURCE - width - 1]
        yield f"{count:>{width}}{' ' if written else ''}{written}"
    yield f"{' ' * width} {' ' * (at - 1)}^ column {at}"


def diff_lines(diffs: Any) -> Iterator[str]:
    """Unified diffs, with an empty line after each."""
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(diff, Mapping):
            continue
        if "before" in diff and "after" in diff:
            lines = list(_unified(diff))
            yield from lines
            if lines:
                yield ""
        if "prepared" in diff:
            yield from str(diff["prepared"]).splitlines()


def _unified(diff: Mapping[str, Any]) -> Iterator[str]:
    headers = [
        f"{side}: {diff[f'{side}_header']}" if diff[side] != "" and f"{side}_header" in diff else side
        for side in ("before", "after")
    ]
    before, after = (_text(diff[side]).splitlines(keepends=True) for side in ("before", "after"))
    for lines in (before, after):
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n\\ No newline at end of file\n"
    for line in difflib.unified_diff(before, after, headers[0], headers[1]):
        yield from line.splitlines()


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, indent=4, separators=(",", ": "), default=str) + "\n"
    return "" if value is None else str(value)
