"""The family of errors that an operator may see: each says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a file that a person wrote. Lines and columns count from 1."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class WxopsError(Exception):
    """An error with a place and a remedy, shown without a traceback.

    what:  one sentence.
    where: the place in the operator's files, or a host and task in words.
    fix:   what to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: Origin | str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  {self.fix}" if self.fix else ""
        return f"{place}{self.what}{remedy}"


class InputError(WxopsError):
    """A file, flag or setting of the operator's that cannot be taken as it stands. Nothing was touched."""


class MissingModule(InputError):
    """A module that Ansible can have, and wxops has not: it is refused where a host may need it."""


class TemplateError(WxopsError):
    """A Jinja2 expression that cannot be evaluated; `where` is the place it was written."""


class UndefinedVariable(TemplateError):
    """A template names a variable that has no value."""


class VaultError(WxopsError):
    """Encrypted text without the password for it, or damaged."""


class HostUnreachable(WxopsError):
    """No session with a host, or the one that was there is gone."""

    exit_code = 4


class BecomeRefused(HostUnreachable):
    """The host answers, but the login may not become the user that a task wants: the task fails, not the host."""


class NoPython(HostUnreachable):
    """The host answers, but it has no Python in which an agent could run."""


class TaskFailed(WxopsError):
    """A task that ran and failed; `result` is what the module returned."""

    exit_code = 2

    def __init__(self, what: str, result: Mapping[str, Any]) -> None:
        super().__init__(what)
        self.result = result


class LabError(WxopsError):
    """The lab cannot be built, booted or reached on this machine."""


def nearest(name: str, known: list[str]) -> str:
    """`did you mean X?` for the known name closest to `name`, else a list of what is known (at most 20)."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = sorted(known)[:20]
    return f"known: {', '.join(shown)}{', ...' if len(known) > 20 else ''}"
