"""What a GPU host is made of: driver, GPUs and their health, CUDA, PyTorch, containers. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.change import Change


def gpu_facts(change: Change, deadline: float = 5) -> Dict[str, Any]:
    """Return what `wxops audit` reads on a host as the fact `gpu`.

    A value that a GPU or its driver does not have has the state `not_supported`, one that could not be had `unknown`,
    each with the reason; a part that fails costs itself and a note.

    deadline: seconds that one call to the GPU's driver may take. One that takes longer is left behind, and only what
        it was asked for is unknown. Waking a GPU may take six times as long.
    """
    from wxops.agent.gpu import gather

    if deadline <= 0:
        raise ModuleFailure("argument 'deadline' must be a positive number of seconds, not %g" % deadline)
    return {"ansible_facts": {"gpu": gather(deadline)}}
