"""A task whose module is Ansible's and not here: no host was expected to need it, and one does."""

from __future__ import annotations

from wxops.actions import Call, Result
from wxops.errors import TaskFailed

RAW = frozenset({"said"})


def missing_module(call: Call, said: str) -> Result:
    """Fail.

    said: why, and where the module's name stands.
    """
    raise TaskFailed(said, {})
