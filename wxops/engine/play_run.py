"""One play: its batches, facts, sections and handlers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from wxops.engine.blocks import BlockRun
from wxops.engine.context import PlayContext
from wxops.engine.events import PlayStarted
from wxops.errors import InputError
from wxops.playbook.plays import Play, Task
from wxops.playbook.roles import Read
from wxops.playbook.source import SourceDict, SourceList
from wxops.playbook.templating import Templar


def run_play(context: PlayContext, hosts: list[str]) -> None:
    """Run a play on its hosts, batch after batch. A batch in which every host failed ends the play."""
    play = context.play
    context.emit(PlayStarted(context.name, tuple(hosts)))
    for batch in batches(hosts, play.serial):
        context.variables.batch = batch
        present = context.taking_part(batch)
        if present:
            _batch(context, present)
        if batch and not any(not (s.failed or s.unreachable) for s in (context.states[host] for host in batch)):
            break


def _batch(context: PlayContext, hosts: list[str]) -> None:
    blocks = BlockRun(context)
    if context.play.strategy == "linear" or len(hosts) == 1:
        _sections(context, blocks, hosts)
        return
    futures = [context.pool.submit(_sections, context, blocks, [host]) for host in hosts]
    wait(futures)
    for future in futures:
        future.result()


def _sections(context: PlayContext, blocks: BlockRun, hosts: list[str]) -> None:
    gather = _gathering(context.play)
    if gather is not None and context.options.selects(frozenset({"always"})):
        fresh = [host for host in hosts if context.play.gather_facts is True or not context.states[host].facts]
        if fresh:
            blocks.task(gather, fresh)
    for section in context.play.sections:
        blocks.run([section], hosts)
        blocks.flush_handlers(hosts)


def _gathering(play: Play) -> Task | None:
    """The task that asks the hosts for their facts."""
    wanted = play.gather_facts
    if wanted is False or (isinstance(wanted, str) and wanted.lower() in ("no", "false")):
        return None
    arguments = SourceDict(play.origin)
    for name in ("gather_subset", "gather_timeout"):
        if getattr(play, name) is not None:
            arguments[name] = getattr(play, name)
    common = replace(play.common, tags=frozenset({"always"}), delegate_to=None)
    return Task(origin=play.origin, module="setup", arguments=arguments, common=common, name="Gathering Facts")


def batches(hosts: list[str], serial: tuple[Any, ...]) -> Iterator[list[str]]:
    """`serial`: numbers and percentages; the last one holds for all that remain."""
    rest, at = list(hosts), 0
    if not serial:
        yield rest
        return
    while rest:
        size = _batch_size(serial[min(at, len(serial) - 1)], len(hosts))
        yield rest[:size]
        rest, at = rest[size:], at + 1


def _batch_size(size: Any, total: int) -> int:
    match = re.fullmatch(r"(\d+)(%?)", str(size).strip())
    if match is None:
        raise InputError(
            f"serial should be a number or a percentage, not {size!r}", where=getattr(size, "origin", None)
        )
    number = int(match.group(1))
    if match.group(2):
        return max(1, total * number // 100)
    return number or total


def vars_files(play: Play, templar: Templar, read: Read) -> dict[str, Any]:
    """The variables of `vars_files`; of a list in it, the first file that exists."""
    found: dict[str, Any] = {}
    for entry in play.vars_files:
        choices = [str(templar.render(name)) for name in (entry if isinstance(entry, SourceList) else [entry])]
        paths = [play.directory / Path(name).expanduser() for name in choices]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            where = getattr(entry, "origin", play.origin)
            raise InputError(f"there is no file of variables {' or '.join(choices)}", where=where)
        found.update(read(path))
    return found
