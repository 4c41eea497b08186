"""What a GPU host is made of: driver, GPUs and their health, CUDA, PyTorch, containers. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change

COMMAND_S = 10.0
"""What one command on the host may take."""


def gpu_facts(
    change: Change,
    deep: bool = False,
    environments: Optional[List[str]] = None,
    images: bool = True,
    deadline: float = 5,
    deep_deadline: float = 120,
) -> Dict[str, Any]:
    """Return what `wxops audit` reads on a host as the fact `gpu`.

    A value that a GPU or its driver does not have has the state `not_supported`, one that could not be had `unknown`,
    each with the reason. A part that fails costs itself and a note. Without root less is seen, and the notes say so.

    deep: import every PyTorch of the host in its own Python, and compare a matrix product and a convolution on each
        GPU with those on the CPU. Root does so as the owner of the environment.
    environments: paths of virtual environments to look into, besides those in usual places.
    images: look for PyTorch in the layers of Docker's images, too.
    deadline: seconds that one call to the GPU's driver, and one request to Docker, may take. A call that takes longer
        is left behind, and only what it was asked for is unknown. Waking a GPU may take six times as long.
    deep_deadline: seconds that one PyTorch may take to import and to work.
    """
    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.gathering import Gathering

    for name, seconds in (("deadline", deadline), ("deep_deadline", deep_deadline)):
        if seconds <= 0:
            raise ModuleFailure("argument %r must be a positive number of seconds, not %g" % (name, seconds))
    gathering = Gathering(Host(timeout=COMMAND_S), deadline, environments or [], images)
    record = gathering.gather()
    if deep:
        gathering.deep(deep_deadline)
        record = gathering.ended()
    return {"ansible_facts": {"gpu": record}}
