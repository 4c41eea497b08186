"""An audit from its beginning to its end: all hosts are asked at once, and each is judged as its record comes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from wxops.audit.collect import collect
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, HostAudit, judge
from wxops.engine.options import RunOptions
from wxops.playbook.inventory import Inventory


def audit_hosts(
    inventory: Inventory,
    hosts: Sequence[str],
    options: RunOptions,
    known: Knowledge,
    deep: bool = False,
    environments: Sequence[str] = (),
) -> Audit:
    """Ask and judge the hosts. Nothing is changed on them; one that does not answer has its problem told."""
    started, clock = datetime.now(UTC), time.monotonic()
    found = []
    for answer in collect(inventory, hosts, options, deep=deep, environments=environments):
        if isinstance(answer, HostRecord):
            found.append(judge(answer, known))
        else:
            found.append(HostAudit(answer.host, problem=answer.why, unreachable=answer.unreachable))
    told = started.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Audit(tuple(found), known.policy_names, told, round(time.monotonic() - clock, 3))
