"""What two engines told of the same playbook, held against each other: which tasks ran, how they ended, with what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.compare import account, status
from conformance.fuzz.engines import Ran
from conformance.fuzz.trees import BACKUP

# Keys of a result that are not compared, and why.
LEFT_OUT = {
    "invocation": "the arguments as ansible-core's module saw them, with all defaults",
    "warnings": "sentences of each engine's own",
    "deprecations": "sentences of each engine's own",
    "exception": "a traceback, or where in a playbook it was",
    "start": "a time", "end": "a time", "delta": "a duration",
    "atime": "a time", "mtime": "a time", "ctime": "a time",
    "inode": "each host has its own", "ino": "each host has its own", "dev": "each host has its own",
    "device_type": "of the file system", "block_size": "of the file system", "blocks": "of the file system",
    "version": "of the file system", "attributes": "of the file system", "attr_flags": "of the file system",
    "diff": "shown, not used; each engine has a shape of its own",
    "backup_file": "has a time in its name; that it is there and what it holds is part of the tree",
    "module_stdout": "of a module that broke", "module_stderr": "of a module that broke",
    "copy.src": "ansible-core names a temporary file", "template.src": "as of copy",
    "ansible_job_id": "has a time in it", "results_file": "has a time in it",
    "elapsed": "a duration", "examined": "counts differ where a directory cannot be read",
    "ansible_date_time": "a time", "ansible_env": "says how the engine was started",
    "discovered_interpreter_python": "of ansible-core's own",
}  # fmt: skip
# Keys that are sentences where something went wrong.
SENTENCES = ("msg", "message", "reason", "skip_reason", "stderr", "stderr_lines", "details", "errors",
             "failed_when_result", "changed_when_result")  # fmt: skip
FLAGS = ("failed", "changed", "skipped")
ERROR, ERROR_SAID = re.compile(r"<< error (\d+) - .*? >>", re.DOTALL), "<< error >>"
TEMPORARY = re.compile(r"/[\w./~-]*(?:ansible-tmp-|ansible\.|\.ansible)[\w./-]*|/[\w./-]*wxops[\w./-]*")


@dataclass(frozen=True)
class Difference:
    """One thing that is not alike.

    kind: status, key, tree, recap, exit. where: a task's file:line, or a path. what: the module, with the key of its
    result; empty for the others.
    """

    run: int
    kind: str
    where: str
    what: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        what = f" {self.what}" if self.what else ""
        return f"run {self.run}, {self.kind} {self.where}{what}: ansible-core {self.theirs!r}, wxops {self.ours!r}"


def compare(run: int, theirs: Ran, ours: Ran) -> list[Difference]:
    """All differences between two runs of a playbook."""
    if refused(theirs) and refused(ours):
        return []
    told, answered = account(theirs.told), account(ours.told)
    found = []
    for place in [*told, *(place for place in answered if place not in told)]:
        one, other = told.get(place), answered.get(place)
        module = str((one or other or {})["module"])
        statuses = [said and status(said) for said in (one, other)]
        if statuses[0] != statuses[1]:
            found.append(Difference(run, "status", _where(place), module, _said(one), _said(other)))
        elif one is not None and other is not None and not hidden(one, other):
            found += [Difference(run, "key", _where(place), f"{module}.{key}", value, answer)
                      for key, value, answer in unlike(_told(one), _told(other), module)]  # fmt: skip
    if not found and theirs.code != ours.code:
        found.append(Difference(run, "exit", "code", "", theirs.code, ours.code))
    if not found and theirs.recap != ours.recap:
        found.append(Difference(run, "recap", "counts", "", theirs.recap, ours.recap))
    return found


def refused(ran: Ran) -> bool:
    """Did the engine end before it ran anything, because of what is in the playbook?"""
    return not ran.told and ran.code not in (0, 2)


def hidden(*said: Mapping[str, Any]) -> bool:
    return any("censored" in each["result"] for each in said)


def _told(said: Mapping[str, Any]) -> dict[str, Any]:
    """A result, with the flags that its status says: a callback of ansible-core's does not see them all."""
    how = status(said)
    return {**said["result"], "failed": how in ("failed", "ignored"), "skipped": how == "skipped"}


def _where(place: tuple[str, str, int]) -> str:
    file, _, number = place
    return file.removeprefix("/root/play/") + (f" ({number + 1})" if number else "")


def _said(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return "did not run it"
    items = [each.get("msg") for each in said["result"].get("results") or []
             if isinstance(each, dict) and each.get("failed")]  # fmt: skip
    message = items or said["result"].get("msg")  # of a loop what each item says: the whole says only that some failed
    return f"{status(said)}: {str(message)[:160]}" if message and said["status"] != "ok" else status(said)


def unlike(theirs: Any, ours: Any, module: str, key: str = "", failed: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """(key, theirs, ours) of what both returned, where it differs."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        failed = failed or bool(theirs.get("failed") or theirs.get("skipped")) or "failed_when_result" in theirs
        for name in sorted(theirs.keys() & ours.keys() | _flags(theirs, ours), key=str):
            if not {str(name), f"{module}.{name}"} & LEFT_OUT.keys() and not str(name).startswith("_ansible"):
                told, answered = theirs.get(name, False), ours.get(name, False)
                if not (failed and name in SENTENCES and isinstance(told, type(answered))):
                    yield from unlike(told, answered, module, f"{key}.{name}".lstrip("."), failed)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from unlike(one, other, module, f"{key}[{number}]", failed)
    elif isinstance(theirs, str) and isinstance(ours, str) and TEMPORARY.fullmatch(theirs):
        return  # that a file was temporary is ansible-core's own affair
    elif _plain(theirs) != _plain(ours) or (isinstance(theirs, bool) != isinstance(ours, bool)):
        yield key, theirs, ours


def _flags(*results: Mapping[str, Any]) -> set[str]:
    """Of an item's result, not of every mapping in it: left out where neither has one."""
    return {flag for flag in FLAGS if any(flag in result for result in results)}


def _plain(value: Any) -> Any:
    """A text without names of temporary files, the times of backups, and the sentence of an error that stands in it."""
    if not isinstance(value, str):
        return value
    return BACKUP.sub(".BACKUP", ERROR.sub(ERROR_SAID, TEMPORARY.sub("TEMPORARY", value)))
