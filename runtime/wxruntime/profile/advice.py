"""Which precision the load of now calls for, with the figures that say so. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wxruntime.profile.adaptive import SPARE, wanted
from wxruntime.profile.command import Choice
from wxruntime.profile.host import Host
from wxruntime.profile.memory import room, taken
from wxruntime.profile.model import Load, Precision, Profile
from wxruntime.profile.seen import Seen, load_of
from wxruntime.sizing import Shape


@dataclass(frozen=True)
class Advice:
    """load: of one replica. holds: how many sequences of that length one replica would hold in each precision."""

    precision: Precision
    now: Precision
    load: Load
    holds: Mapping[Precision, int]

    @property
    def why(self) -> str:
        names = list(self.holds)
        if self.precision == self.now:
            return f"{self.now} is right"
        if names.index(self.precision) < names.index(self.now):
            return f"{self.precision} holds {SPARE:g} times the load"
        if self.holds[self.precision] < self.load.sequences:
            return f"none holds the load, {self.precision} most of it"
        return f"{self.now} does not hold the load"


def advise(
    profile: Profile,
    shapes: Mapping[Precision, Shape],
    choices: Mapping[Precision, Choice],
    host: Host,
    now: Precision,
    seen: Sequence[Seen],
) -> Advice:
    """seen: each replica on the host, all of which run in `now`.

    Without GPUs they share the host's memory: what is free and what they take, in equal parts.
    """
    there = room(profile, shapes[now], now, host)
    if there.cpu:
        all_of_it = host.memory + len(seen) * taken(profile, there, host)
        host = replace(host, memory=int(all_of_it / len(seen)))
    load = load_of(seen, profile, shapes[now])
    best = wanted(profile, shapes, choices, host, now, load)
    holds = {each: room(profile, shapes[each], each, host).holds // load.tokens for each in choices}
    return Advice(best, now, load, holds)
