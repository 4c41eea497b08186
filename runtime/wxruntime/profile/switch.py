"""The steps by which running replicas go over to another precision one by one, without a lost request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wxruntime.profile.model import Precision


@dataclass(frozen=True)
class Replica:
    """One engine. memory: bytes that it takes; sequences: how many it answers at once, of its memory and settings."""

    name: str
    precision: Precision
    memory: float
    sequences: int


@dataclass(frozen=True)
class Start:
    """Start a replica beside the others; requests do not reach it yet."""

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
    """End a replica that has nothing left to do, and with that free its memory."""

    replica: Replica


Step = Start | Admit | Drain | Stop


class SwitchRefused(Exception):
    """No order of steps keeps the load served; the message says what is lacking. Nothing was begun."""


def switch(running: Sequence[Replica], to: Replica, *, free: float, load: int) -> list[Step]:
    """Go over to as many replicas like `to` as are running, which those that are like it already stay.

    to: what a new one is; its name is the stem of theirs. free: bytes that nobody takes. load: sequences that run and
    wait now. A new one starts before an old one goes where memory allows; otherwise the old one goes first, which the
    others must bear: those in service never answer fewer than `load` at once. Raises SwitchRefused.
    """
    steps: list[Step] = []
    serving = list(running)
    for number, old in enumerate([each for each in running if each.precision != to.precision], 1):
        new = replace(to, name=f"{to.name}-{number}")
        others = [each for each in serving if each is not old]
        if new.memory <= free:
            _bears([*others, new], load)
            steps += [Start(new), Admit(new), Drain(old), Stop(old)]
        elif not others:
            raise SwitchRefused(
                f"{old.name} is the only replica, and there is no room for another beside it: {to.precision} takes "
                f"{_gib(new.memory)}, {_gib(free)} are free; stop something, or accept a pause and restart it"
            )
        elif new.memory > free + old.memory:
            raise SwitchRefused(
                f"a replica in {to.precision} takes {_gib(new.memory)}: more than the {_gib(free)} that are free and "
                f"the {_gib(old.memory)} of {old.name}"
            )
        else:
            _bears(others, load)
            steps += [Drain(old), Stop(old), Start(new), Admit(new)]
        free += old.memory - new.memory
        serving = [*others, new]
    return steps


def _bears(serving: Sequence[Replica], load: int) -> None:
    able = sum(each.sequences for each in serving)
    if able < load:
        names = ", ".join(each.name for each in serving)
        raise SwitchRefused(
            f"{load} sequences run and wait, and on the way only {names} would be there, for {able}: wait until it is "
            "quieter, or add a replica first"
        )


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
