"""An audit from its beginning to its end: all hosts are asked at once, and each is judged as its record comes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wxops.audit.collect import collect
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, HostAudit, judge
from wxops.audit.rule import rules
from wxops.engine.options import RunOptions
from wxops.playbook.inventory import Inventory

if TYPE_CHECKING:
    from wxops.audit.published_image import PublishedImage


def audit_hosts(
    inventory: Inventory,
    hosts: Sequence[str],
    options: RunOptions,
    known: Knowledge,
    arguments: Mapping[str, Any],
    images: Sequence[PublishedImage] = (),
) -> Audit:
    """Ask and judge the hosts. Nothing is changed on them; one that does not answer has its problem told.

    arguments: those of the module gpu_facts. images: what is to be deployed on each of them.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    found = []
    for host, answer in collect(inventory, hosts, options, arguments, meanwhile=rules):
        if isinstance(answer, HostRecord):
            found.append(judge(_with_images(answer, images), known))
        else:
            found.append(HostAudit(host, problem=answer.what, unreachable=answer.unreachable))
    told = started.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Audit(
        tuple(found), tuple(policy.name for policy in known.policies), told, round(time.monotonic() - clock, 3)
    )


def _with_images(record: HostRecord, images: Sequence[PublishedImage]) -> HostRecord:
    if not images:
        return record
    from wxops.audit.deployment import with_images  # an audit without them is not to wait for it

    return with_images(record, images)
