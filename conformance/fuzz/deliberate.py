"""Differences that are meant: deliberate.yml as data, and which of its entries a difference falls under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from conformance.fuzz.engines import Ran
from conformance.fuzz.results import Difference, refused

ENTRIES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")) or []
FIELDS = ("run", "kind", "where", "what", "theirs", "ours")
REFUSED_AT = re.compile(r"/play\.yml:(\d+):\d+: ")
FAILED = ("failed", "ignored", "rescued")
Meant = list[tuple[Difference, str]]


def parted(differences: list[Difference], ran: tuple[Ran, Ran], playbook: str) -> tuple[list[Difference], Meant]:
    """Those of a run of a playbook (its text) that are to be mended, and those that are meant, with why."""
    wrong: list[Difference] = []
    meant: Meant = []
    ended: str | None = None
    for difference in differences:
        entry = _entry(difference, ran, playbook)
        why = entry["why"] if entry else ended
        if why is None:
            wrong.append(difference)
        else:
            meant.append((difference, why))
        if entry and entry.get("ends"):
            ended = why
    return wrong, meant


def _entry(difference: Difference, ran: tuple[Ran, Ran], playbook: str) -> dict[str, Any] | None:
    theirs, ours = ran
    for entry in ENTRIES:
        if "refused" in entry:
            if refused(ours) and re.search(entry["refused"], ours.output) and not _did_it(theirs, ours, playbook):
                return entry
        elif (
            all(_holds(entry[name], getattr(difference, name)) for name in FIELDS if name in entry)
            and re.search(entry.get("printed", ""), ours.output)
            and ("failed" not in entry or (_failed(theirs, entry["failed"]) and _failed(ours)))
        ):
            return entry
    return None


def _holds(pattern: str, value: Any) -> bool:
    return re.fullmatch(pattern, str(value), re.DOTALL) is not None


def _did_it(theirs: Ran, ours: Ran, playbook: str) -> bool:
    """Did ansible-core run, and no task of it failed, what wxops refused? Not where tags or a `when` kept it out."""
    found = REFUSED_AT.search(ours.output)
    if _failed(theirs) or not theirs.told:
        return False
    task = _task_at(playbook, int(found[1])) if found else None
    there = [said["status"] for said in theirs.told if str(said["where"]).endswith(f"/play.yml:{task}")]
    return task is None or any(status != "skipped" for status in there)


def _task_at(playbook: str, line: int) -> int | None:
    """The line where the task begins that has this line."""
    return max((start for start in _starts(yaml.compose(playbook)) if start <= line), default=None)


def _starts(node: yaml.Node | None) -> Iterator[int]:
    """Where the mappings of lists begin: plays and tasks."""
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _starts(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            if isinstance(each, yaml.MappingNode):
                yield each.start_mark.line + 1
            yield from _starts(each)


def _failed(ran: Ran, message: str = "") -> bool:
    """Did something fail in it, with such a message, whatever came of that?"""
    told = [str(said["result"]) for said in ran.told if said["status"] in FAILED]
    return refused(ran) or any(re.search(message, each) for each in told)
