"""One play: its batches, facts, sections and handlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wxops.engine.blocks import BlockRun
from wxops.engine.context import PlayContext
from wxops.engine.events import PlayStarted
from wxops.engine.handlers import Handlers
from wxops.engine.missing import needing, refuse_needed
from wxops.engine.module_defaults import facts_defaults
from wxops.engine.owed import OwedHandlers
from wxops.engine.pace import Pace
from wxops.engine.strategies import ON_ITS_OWN, go_through
from wxops.engine.values import truth
from wxops.errors import InputError
from wxops.playbook.defaults import merged
from wxops.playbook.plays import Play, Task
from wxops.playbook.source import SourceDict, SourceList
from wxops.playbook.templating import Templar


def run_play(context: PlayContext, hosts: list[str]) -> bool:
    """Run a play on its hosts, batch after batch. False when all hosts of a batch failed: that ends the run."""
    states = context.states
    if context.play.strategy in ON_ITS_OWN:
        context.pace = Pace(context.options.forks)
    serial = context.variables.templar(hosts[0]).render(list(context.play.serial))
    for batch in batches(hosts, tuple(_flat(serial)), context.play):
        context.variables.batch = batch
        context.emit(PlayStarted(context.name, tuple(batch), context.pace is not None))
        present = context.taking_part(batch)
        if present:
            _batch(context, present)
        if len(present) == len(batch) and all(states[host].lost and not states[host].forgiven for host in batch):
            return False
        if context.ended:
            break
    return True


def _batch(context: PlayContext, hosts: list[str]) -> None:
    handlers = Handlers(context, context.play.handlers)
    context.owed = OwedHandlers(context, handlers)
    blocks = BlockRun(context, handlers)
    go_through(context, hosts, lambda some: _sections(context, blocks, some))
    context.owed.close(hosts)


def _sections(context: PlayContext, blocks: BlockRun, hosts: list[str]) -> None:
    _facts(context, blocks, hosts)
    refuse_needed(needing(context.play, context.options), context.variables, context.taking_part(hosts))
    for section in context.play.sections:
        blocks.run([section], hosts)
        blocks.flush_handlers(hosts)


def _facts(context: PlayContext, blocks: BlockRun, hosts: list[str]) -> None:
    """Ask the hosts for their facts where the play wants it; `vars_files` may need them."""
    play = context.play
    reader = vars_files(play, context.loader.known.read)
    if play.vars_files:
        context.variables.learn_files(hosts, reader)
    fresh = _without_facts(context, hosts)
    if fresh:
        blocks.task(_setup(context), fresh)
    if play.vars_files:
        context.variables.learn_files(hosts, reader)


def _without_facts(context: PlayContext, hosts: list[str]) -> list[str]:
    """The hosts that are to be asked: `gather_facts` of the play, and what the setting `gathering` makes of it."""
    said, gathering = context.play.gather_facts, context.options.gathering
    if said is not None:
        said = truth(context.variables.templar(hosts[0]).render(said), "gather_facts", context.play.origin)
    if said is False or (said is None and gathering == "explicit"):
        return []
    return [host for host in hosts if gathering != "smart" or not context.states[host].facts_are_gathered]


def _setup(context: PlayContext) -> Task:
    """The task that asks the hosts for their facts."""
    play = context.play
    given = SourceDict(play.origin)
    for name in ("gather_subset", "gather_timeout", "fact_path"):
        if getattr(play, name) is not None:
            given[name] = getattr(play, name)
    arguments = merged(facts_defaults(context), given)
    common = replace(play.common, tags=play.common.tags | {"always"}, delegate_to=None)
    return Task(origin=play.origin, module="setup", arguments=arguments, common=common, name="Gathering Facts")


def batches(hosts: list[str], serial: tuple[Any, ...], play: Play) -> Iterator[list[str]]:
    """`serial`: numbers and percentages; the last one holds for all that remain."""
    rest, at = list(hosts), 0
    if not serial:
        yield rest
        return
    while rest:
        size = _batch_size(serial[min(at, len(serial) - 1)], len(hosts), play)
        yield rest[:size]
        rest, at = rest[size:], at + 1


def _batch_size(size: Any, total: int, play: Play) -> int:
    match = re.fullmatch(r"(-?\d+)(%?)", str(size).strip())
    if match is None:
        raise InputError(f"serial should be a number or a percentage, not {size!r}", where=play.origin)
    number = int(match.group(1))
    if match.group(2):
        return max(1, total * number // 100)
    return number if number > 0 else total


def _flat(values: list[Any]) -> list[Any]:
    """A template may stand for the whole list."""
    return [each for value in values for each in (value if isinstance(value, list) else [value])]


def vars_files(play: Play, read: Callable[[Path], Mapping[str, Any]]) -> Callable[[Templar], dict[str, Any]]:
    """Reads the `vars_files` of a play for a host; of a list in it, the first file that exists. Each is read once."""
    known: dict[Path, Mapping[str, Any]] = {}

    def of_host(templar: Templar) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in play.vars_files:
            choices = [str(templar.render(name)) for name in (entry if isinstance(entry, SourceList) else [entry])]
            paths = [path for name in choices for path in _candidates(play.directory, Path(name).expanduser())]
            path = next((path for path in paths if path.is_file()), None)
            if path is None:
                where = getattr(entry, "origin", play.origin)
                raise InputError(f"there is no file of variables {' or '.join(choices)}", where=where)
            if path not in known:
                known[path] = read(path)
            found.update(known[path])
        return found

    return of_host


def _candidates(directory: Path, name: Path) -> list[Path]:
    """Where Ansible looks for a file of `vars_files`: in vars/ beside the playbook, then beside it."""
    return [directory / "vars" / name, directory / name]
