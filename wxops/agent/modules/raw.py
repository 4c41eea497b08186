"""A command line on the host with nothing around it: no conditions, no check mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.command import Conditions, execute

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.change import Change

FREE_FORM = "_raw_params"
RETURNED = ("rc", "stdout", "stderr", "stdout_lines", "stderr_lines", "changed")


def raw(change: Change, _raw_params: Optional[str] = None, executable: Optional[str] = None) -> Dict[str, Any]:
    """Run a command line; in check mode it is skipped.

    executable: the shell, /bin/sh by default.
    """
    if not _raw_params:
        raise ModuleFailure("no command given", rc=256)
    if change.check:
        return {"skipped": True}
    argv = [executable or "/bin/sh", "-c", _raw_params]
    result = execute(change, argv, _raw_params, Conditions(None, None, None), strip=False)
    return {key: result[key] for key in RETURNED}
