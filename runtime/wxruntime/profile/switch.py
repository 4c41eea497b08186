"""The steps by which replicas go over to another precision one by one, without a lost request. Pure.

They are planned from what is found, so a switch that was killed half-way is planned to its end the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wxruntime.profile.model import Precision

MEMORY = "memory"


@dataclass(frozen=True)
class Replica:
    """One engine. memory: bytes that it takes of each of its devices, which are GPUs or the host's own memory.

    sequences: how many it answers at once. replaces: the name of the one whose place it takes, also when that is gone.
    running: its process is there. serving: a gateway sends it requests.
    """

    name: str
    precision: Precision
    memory: float
    sequences: int
    devices: tuple[str, ...] = (MEMORY,)
    replaces: str | None = None
    running: bool = True
    serving: bool = True


@dataclass(frozen=True)
class Start:
    """Start a replica; requests do not reach it yet."""

    replica: Replica


@dataclass(frozen=True)
class Admit:
    """Wait until it has made a token, then let requests reach it."""

    replica: Replica


@dataclass(frozen=True)
class Drain:
    """Let no new request reach it, and wait until it has answered those that it has."""

    replica: Replica


@dataclass(frozen=True)
class Stop:
    """End a replica that has nothing left to do, and with that free its memory. It could be started again."""

    replica: Replica


@dataclass(frozen=True)
class Remove:
    """Forget a replica that was stopped: another one serves in its place."""

    replica: Replica


Step = Start | Admit | Drain | Stop | Remove


class SwitchRefused(Exception):
    """No order of steps keeps the load served; the message says what is lacking. Nothing was begun."""


@dataclass
class _Now:
    """What is so after the steps so far. elsewhere: sequences that replicas on other hosts answer at once."""

    free: dict[str, float]
    serving: list[Replica]
    load: int
    elsewhere: int

    def fits(self, new: Replica, *leaving: Replica) -> bool:
        return not self.lacking(new, *leaving)

    def lacking(self, new: Replica, *leaving: Replica) -> list[str]:
        """The devices without room for a new one, even when those that leave are gone."""
        given = {name: sum(each.memory for each in leaving if name in each.devices) for name in new.devices}
        return [name for name in new.devices if new.memory > self.free.get(name, 0.0) + given[name]]

    def take(self, replica: Replica, sign: int) -> None:
        for name in replica.devices:
            self.free[name] = self.free.get(name, 0.0) - sign * replica.memory

    def bears(self, serving: Sequence[Replica]) -> None:
        able = self.elsewhere + sum(each.sequences for each in serving)
        if able < self.load:
            names = ", ".join([*(each.name for each in serving), *(["other hosts"] if self.elsewhere else [])])
            raise SwitchRefused(
                f"{self.load} sequences run and wait, and on the way only {names} would be there, for {able}: wait "
                "until it is quieter, or add a replica first"
            )


def switch(
    found: Sequence[Replica],
    to: Replica,
    *,
    free: Mapping[str, float],
    load: int,
    elsewhere: int = 0,
    count: int = 0,
) -> list[Step]:
    """Every replica that is found, or one in its place, is served like `to` in the end; those that are so stay.

    to: what a new one is; its name is the stem of theirs, and it takes the devices of the one that it replaces. free:
    bytes of each device that nobody takes. load: sequences that run and wait now. elsewhere: those that replicas on
    other hosts answer at once. count: how many there are to be at least. A new one starts before an old one goes where
    memory allows; otherwise the old one goes first, which the others must bear: those in service never answer fewer
    than `load` at once. Raises SwitchRefused.
    """
    now = _Now(dict(free), [each for each in found if each.running and each.serving], load, elsewhere)
    steps: list[Step] = []
    names = {each.name for each in found}
    there = places(found)
    for place in [*there, *([] for _ in range(count - len(there)))]:
        new = next((each for each in place if each.precision == to.precision), None)
        old = [each for each in place if each is not new]
        if new is None:
            new = replace(to, name=_free_name(to.name, names), running=False, serving=False)
            if old:
                new = replace(new, devices=old[0].devices, replaces=old[0].name)
            names.add(new.name)
        steps += _exchange(new, old, now)
    return steps


def places(found: Sequence[Replica]) -> list[list[Replica]]:
    """Replicas that belong together, because one was to take the other's place when a switch was killed."""
    by_name = {each.name: each for each in found}
    roots: dict[str, list[Replica]] = {}
    for each in found:
        root = each
        while root.replaces in by_name and root.replaces != root.name:
            root = by_name[root.replaces]
        roots.setdefault(root.name, []).append(each)
    return list(roots.values())


def _exchange(new: Replica, old: Sequence[Replica], now: _Now) -> list[Step]:
    """The steps for one place."""
    begin: list[Step] = [] if new.running else [Start(new)]
    admit: list[Step] = [] if new.running and new.serving else [Admit(new)]
    running = [each for each in old if each.running]
    others = [each for each in now.serving if each not in old]
    leave: list[Step] = [step for each in running for step in (Drain(each), Stop(each))]
    forget: list[Step] = [Remove(each) for each in old]
    after = [*(each for each in others if each.name != new.name), new]
    if new.running or now.fits(new):
        if running:
            now.bears(after)
        steps = [*begin, *admit, *leave, *forget]
    elif not running:
        raise SwitchRefused(f"there is no room for {new.name}: {_wanted(new, now)}")
    elif not others and not now.elsewhere:
        raise SwitchRefused(
            f"{running[0].name} is the only replica, and there is no room for another beside it: {_wanted(new, now)}; "
            "stop something, or accept a pause and deploy it anew"
        )
    elif lacking := now.lacking(new, *running):
        given = sum(each.memory for each in running)
        raise SwitchRefused(
            f"a replica in {new.precision} takes {_gib(new.memory)}: more than the {_gib(now.free.get(lacking[0], 0))} "
            f"that are free on {lacking[0]} and the {_gib(given)} of {', '.join(each.name for each in running)}"
        )
    else:
        now.bears(others)
        steps = [*leave, *begin, *admit, *forget]
    if not new.running:
        now.take(new, 1)
    for each in running:
        now.take(each, -1)
    now.serving = after
    return steps


def _free_name(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def _wanted(new: Replica, now: _Now) -> str:
    name = now.lacking(new)[0]
    return f"{new.precision} takes {_gib(new.memory)}, {_gib(now.free.get(name, 0.0))} are free on {name}"


def _gib(size: float) -> str:
    return f"{max(size, 0.0) / 2**30:.1f} GiB"
