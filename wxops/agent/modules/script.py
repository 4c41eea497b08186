"""A script of the controller's, run on the host from a file that is gone afterwards."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import state_directory
from wxops.agent.modules.command import Conditions, execute
from wxops.agent.modules.raw import RETURNED
from wxops.agent.offered import content_from

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.content import Content

# As Ansible tells it, which lets a shell change into it, and takes every script for a change.
NO_DIRECTORY = {"rc": 2, "changed": True, "stdout": "", "stdout_lines": []}


def script(
    change: Change,
    _content: Dict[str, Any],
    _name: str,
    _arguments: str = "",
    executable: Optional[str] = None,
    chdir: Optional[Path] = None,
    creates: Optional[Path] = None,
    removes: Optional[Path] = None,
) -> Dict[str, Any]:
    """Run a script. _content: its bytes, as `offered.content_from` takes them; _arguments: the rest of the line."""
    if chdir and not chdir.startswith("/"):
        raise ModuleFailure("chdir %s must be an absolute path" % chdir)
    conditions = Conditions(chdir, creates, removes)
    unneeded = conditions.unneeded(change)
    if unneeded:
        path, holds = unneeded
        option = "creates" if holds == "exists" else "removes"
        return {"skipped": True, "msg": "%s %s, matching %s option" % (path, holds, option)}
    if change.check:
        if conditions.decide():
            return {"changed": True}
        return {"skipped": True, "msg": "what a script would change is not known in check mode"}
    if chdir and change.file(chdir, follow=True)["type"] != "directory":
        said = "Unable to change directory before execution: there is none at %s" % chdir
        raise ModuleFailure(said, **NO_DIRECTORY)
    return _run(change, content_from(change.link, _content), _name, _arguments, executable, conditions)


def _run(change: Change, content: Content, name: str, arguments: str, executable: Optional[str],
         conditions: Conditions) -> Dict[str, Any]:  # fmt: skip
    folder = _private_directory()
    try:
        path = os.path.join(folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700), "wb") as file:
            for chunk in content.chunks():
                file.write(chunk)
        line = " ".join(part for part in (executable, shlex.quote(path), arguments) if part)
        result = execute(change, ["/bin/sh", "-c", line], line, Conditions(conditions.chdir, None, None), strip=False)
    finally:
        shutil.rmtree(folder)
    return {key: result[key] for key in RETURNED}


def _private_directory() -> str:
    """Not in /tmp: where hosts are hardened nothing can be run from there."""
    os.makedirs(state_directory(), mode=0o700, exist_ok=True)
    return tempfile.mkdtemp(prefix="script-", dir=state_directory())
