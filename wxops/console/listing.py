"""What --list-hosts and --list-tasks print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wxops.engine.options import RunOptions
from wxops.playbook.plays import Play


def hosts_of(project: Any, play: Play, number: int, with_hosts: bool) -> Iterator[str]:
    name = play.name or play.hosts
    yield f"\n  play #{number} ({play.hosts}): {name}\tTAGS: [{','.join(sorted(play.common.tags))}]"
    if with_hosts:
        hosts = project.hosts(play)
        yield f"    pattern: [{play.hosts!r}]"
        yield f"    hosts ({len(hosts)}):"
        yield from (f"      {host}" for host in hosts)


def tasks_of(play: Play, options: RunOptions) -> Iterator[str]:
    yield "    tasks:"
    for task in play.tasks():
        if options.selects(task.common.tags) and task.module != "meta":
            yield f"      {task.label}\tTAGS: [{', '.join(sorted(task.common.tags))}]"
