"""An answer from the host, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.change import Change


def ping(change: Change, data: str = "pong") -> Dict[str, Any]:
    """Answer. That a host can be logged in to and has a Python that runs modules is all that it shows.

    data: what to answer; `crash` fails, to see what that looks like.
    """
    if data == "crash":
        raise ModuleFailure("boom")
    return {"ping": data}
