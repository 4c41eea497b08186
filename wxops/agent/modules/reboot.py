"""Tells the host to reboot, or tries whether it works again afterwards; the action `reboot` waits in between."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change


def reboot(
    change: Change, reboot_command: Optional[str] = None, test_command: Optional[str] = None, msg: str = "",
    search_paths: Optional[List[str]] = None,
) -> Dict[str, Any]:  # fmt: skip
    """The host's part: one of the two commands. A reboot leaves nothing on disk, so there is nothing to journal."""
    change.stop_if_asked()
    if reboot_command and msg:
        run(["wall", msg])
    path = ":".join([*(search_paths or []), os.environ.get("PATH", os.defpath)])
    words = shlex.split(reboot_command or test_command or "true")
    done = run([shutil.which(words[0], path=path) or words[0], *words[1:]])
    if done.rc != 0:
        raise ModuleFailure("%s ended with %d: %s" % (done.argv[0], done.rc, done.stderr.strip()), **done.result())
    return {"changed": bool(reboot_command)}
