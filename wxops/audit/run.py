"""An audit from its beginning to its end: all hosts are asked at once, and each is judged as its record comes.

What they are judged by is imported and read while they look at themselves: it takes as long as a login.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wxops.audit.collect import Problem, collect
from wxops.engine.options import RunOptions
from wxops.playbook.inventory import Inventory

if TYPE_CHECKING:
    from wxops.audit.knowledge import Knowledge
    from wxops.audit.published_image import PublishedImage
    from wxops.audit.record import HostRecord
    from wxops.audit.report import Audit, HostAudit


def audit_hosts(
    inventory: Inventory,
    hosts: Sequence[str],
    options: RunOptions,
    known: Callable[[], Knowledge],
    arguments: Mapping[str, Any],
    images: Sequence[PublishedImage] = (),
) -> Audit:
    """Ask and judge the hosts. Nothing is changed on them; one that does not answer has its problem told.

    known: what they are judged by, the same each time; first called while they answer. arguments: those of
    the module gpu_facts. images: what is to be deployed on each of them.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    answers = collect(inventory, hosts, options, arguments, meanwhile=lambda: _prepare(known))
    found = tuple(_judged(host, answer, known(), images) for host, answer in answers)
    return _audit(found, known(), started.strftime("%Y-%m-%dT%H:%M:%SZ"), round(time.monotonic() - clock, 3))


def _prepare(known: Callable[[], Knowledge]) -> None:
    from wxops.audit.rule import rules

    known(), rules()


def _judged(host: str, answer: HostRecord | Problem, known: Knowledge, images: Sequence[PublishedImage]) -> HostAudit:
    from wxops.audit.report import HostAudit, judge

    if isinstance(answer, Problem):
        return HostAudit(host, problem=answer.what, unreachable=answer.unreachable)
    return judge(_with_images(answer, images), known)


def _audit(hosts: tuple[HostAudit, ...], known: Knowledge, started: str, seconds: float) -> Audit:
    from wxops.audit.report import Audit

    return Audit(hosts, tuple(policy.name for policy in known.policies), started, seconds)


def _with_images(record: HostRecord, images: Sequence[PublishedImage]) -> HostRecord:
    if not images:
        return record
    from wxops.audit.deployment import with_images  # an audit without them is not to wait for it

    return with_images(record, images)
