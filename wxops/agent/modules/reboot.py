"""Tells the host to reboot, or tries whether it works again afterwards; the action `reboot` waits in between."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.change import Change


def reboot(
    change: Change, reboot_command: Optional[str] = None, test_command: Optional[str] = None, msg: str = ""
) -> Dict[str, Any]:
    """The host's part: one of the two commands. A reboot leaves nothing on disk, so there is nothing to journal."""
    change.stop_if_asked()
    if reboot_command and msg:
        run(["wall", msg])
    done = run(shlex.split(reboot_command or test_command or "true"))
    if done.rc != 0:
        raise ModuleFailure("%s ended with %d: %s" % (done.argv[0], done.rc, done.stderr.strip()), **done.result())
    return {"changed": bool(reboot_command)}
