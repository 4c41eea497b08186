"""Tasks whose failure the playbook reckons with: a mistake in one fails the task when it runs, as it does in Ansible.

Elsewhere a mistake that can be seen in the file is refused before a host is touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from wxops.errors import WxopsError
from wxops.playbook.plays import Common


def may_fail(mapping: Mapping[str, Any], common: Common) -> bool:
    """Does the playbook say what is to happen when this task fails: ignore_errors, failed_when or a rescue?"""
    ignored = common.ignore_errors is not None and common.ignore_errors is not False
    return ignored or common.rescued or "failed_when" in mapping


def refusing(unless: bool) -> contextlib.AbstractContextManager[None]:
    """What is wrong in a task is refused, unless its failure is reckoned with."""
    return contextlib.suppress(WxopsError) if unless else contextlib.nullcontext()
