"""The one error that a module raises on purpose: the task failed, and why."""

from __future__ import annotations

from typing import Any


class ModuleFailure(Exception):
    """The task failed. `result` adds values that a playbook can register (rc, stdout, ...)."""

    def __init__(self, message: str, **result: Any) -> None:
        super().__init__(message)
        self.result = dict(result, msg=message)


class LinkLoop(ModuleFailure):
    """A link that leads to itself, or through more links than a host follows."""


class Stopped(Exception):
    """The controller is gone or asked to stop: nothing more may be changed."""
