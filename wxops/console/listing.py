"""What --list-hosts, --list-tasks, --list-tags and --syntax-check print, as ansible-playbook lays it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wxops.engine.options import RunOptions
from wxops.playbook.plays import Block, Play, Task, as_list


def listing(
    project: Any, named: list[str], options: RunOptions, *, hosts: bool, tasks: bool, tags: bool
) -> Iterator[str]:
    """Lines for all playbooks; `named` are their paths as the operator wrote them."""
    for name, plays in zip(named, project.books, strict=True):
        yield f"\nplaybook: {name}"
        if not (hosts or tasks or tags):
            continue
        for number, play in enumerate(plays, 1):
            yield from _of_play(project, play, number, hosts)
            chosen = list(_tasks(play, options))
            if tasks:
                yield "    tasks:"
                yield from (
                    f"      {task.label if task.name else task.module}\tTAGS: [{', '.join(sorted(task.common.tags))}]"
                    for task in chosen
                )
            if tags:
                known = sorted(play.common.tags.union(*(task.common.tags for task in chosen)))
                yield f"      TASK TAGS: [{', '.join(known)}]"


def _of_play(project: Any, play: Play, number: int, with_hosts: bool) -> Iterator[str]:
    pattern = [str(each) for each in as_list(play.hosts)]
    name = play.name or ",".join(pattern)
    yield f"\n  play #{number} ({','.join(pattern)}): {name}\tTAGS: [{','.join(sorted(play.common.tags))}]"
    if with_hosts:
        found = project.hosts(play)
        yield f"    pattern: {pattern}"
        yield f"    hosts ({len(found)}):"
        yield from (f"      {host}" for host in found)


def _tasks(play: Play, options: RunOptions) -> Iterator[Task]:
    """As they come when nothing fails; what stands in rescue and always is not listed."""

    def of(block: Block) -> Iterator[Task]:
        for node in block.body:
            if isinstance(node, Block):
                yield from of(node)
            elif options.selects(node.common.tags):
                yield node

    return (task for section in play.sections for task in of(section))
