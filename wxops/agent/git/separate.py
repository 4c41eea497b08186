"""Moving what git keeps out of the work tree, with a file in its place that says where it went."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Dict

    from wxops.agent.change import Change
    from wxops.agent.git.repository import Repository


def move_git_dir(change: Change, repository: Repository, target: str) -> Dict[str, str]:
    """What Ansible returns of the move; nothing when it is there already."""
    source = repository.git_dir
    if os.path.realpath(source) == target:
        return {}
    if change.file(target)["type"] != "absent":
        raise ModuleFailure("Separate-git-dir path %s already exists." % target)
    link = {"type": "file", "mode": 0o644, "content": Content(("gitdir: %s" % target).encode())}
    if change.check:
        return {"git_dir_before": source, "git_dir_now": target}
    copy = tempfile.mkdtemp(prefix=".wxops-", dir=os.path.dirname(target))
    try:
        inside = os.path.join(copy, "git")
        shutil.copytree(source, inside, symlinks=True)
        change.set("file", target, dict(change.file(source), kept=inside))
        change.set("file", os.path.join(repository.path, ".git"), link)
    finally:
        shutil.rmtree(copy)
    return {"git_dir_before": source, "git_dir_now": target}
