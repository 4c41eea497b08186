"""Keeping apt's lists of packages fresh."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.package_cache import LIST_FOLDER, updated_at

if TYPE_CHECKING:
    from typing import Dict, Tuple

    from wxops.agent.change import Change


def update_lists(change: Change, valid_for: int, retries: int, longest_pause: int, lock_timeout: int) -> bool:
    """Run `apt-get update` unless the lists are young enough; True if that changed them (a check: would be run)."""
    if updated_at() + valid_for >= time.time() and valid_for:
        return False
    if change.check:
        change.view.overlay["package_cache", "update"] = {}
        change.act("package_cache", "update")
        return True
    before = _snapshot()
    for attempt in range(max(retries, 1)):
        try:
            change.act("package_cache", "update", options=[], lock_timeout=lock_timeout)
            return _snapshot() != before
        except ModuleFailure as failed:
            if attempt + 1 >= retries:
                raise ModuleFailure(
                    "Failed to update apt cache after %d tries: %s" % (attempt + 1, failed), **failed.result
                ) from None
            change.warnings.append("the package lists could not be updated, trying again: %s" % failed)
            time.sleep(min(2**attempt, longest_pause))
    return False


def _snapshot() -> Dict[str, Tuple[int, int]]:
    """The lists' names, times and sizes."""
    with os.scandir(LIST_FOLDER) as entries:
        files = [entry for entry in entries if entry.is_file() and entry.name != "lock"]
        return {entry.name: (entry.stat().st_mtime_ns, entry.stat().st_size) for entry in files}
