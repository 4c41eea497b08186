"""A copy of a file beside it, under the name that Ansible's `backup: true` gives; made like any other change."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.change import Change


def back_up(change: Change, path: str) -> Optional[str]:
    """The path of the copy; None when there is no file to copy, and in check mode, as in Ansible's."""
    now = change.file(path, follow=True)
    if change.check or now["type"] != "file":
        return None
    copy = _free_name(change, path)
    change.set("file", change.place(copy), now)
    del change.diffs[-1]  # the operator asked for a backup and looks for the change
    return copy


def _free_name(change: Change, path: str) -> str:
    """NAME.NUMBER.DATE@TIME~; Ansible's number is its process, ours counts up when a second sees two backups."""
    number, moment = os.getpid(), time.strftime("%Y-%m-%d@%H:%M:%S~")
    while change.file("%s.%d.%s" % (path, number, moment))["type"] != "absent":
        number += 1
    return "%s.%d.%s" % (path, number, moment)
