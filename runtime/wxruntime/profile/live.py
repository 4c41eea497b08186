"""A switch of the replicas that run on a host: what is found there, held against the profile, becomes its steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wxruntime.document import DocumentError
from wxruntime.profile.checkpoints import Model
from wxruntime.profile.host import Host
from wxruntime.profile.memory import Room, room, sequences, taken
from wxruntime.profile.model import Precision, Profile, read
from wxruntime.profile.plan import Plan, main_of, plan
from wxruntime.profile.switch import MEMORY, Admit, Replica, Start, Step, Stop, places, switch


class NotPossible(Exception):
    """The profile cannot be served like that; sentences, with lines of the file where they have one."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))


@dataclass(frozen=True)
class Found:
    """An engine on this host. devices: GPUs that it was given; () where nothing says so. url: where it is asked.

    new: started by a switch that was killed before gateways sent requests there.
    """

    name: str
    precision: Precision
    replaces: str | None
    running: bool
    serving: bool
    devices: tuple[str, ...] = ()
    url: str = ""
    new: bool = False


@dataclass(frozen=True)
class Traffic:
    """load: sequences that run or wait now; elsewhere: those that replicas on other hosts answer at once.

    urls: by each gateway's name all that it sends requests to, or did and waits for the answers of.
    """

    load: int
    elsewhere: int
    urls: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Switch:
    """What is to be done. memory: a line for each device, before and after."""

    to: Precision
    steps: tuple[Step, ...]
    memory: tuple[str, ...]


def prepare(
    file: Path,
    models: Mapping[Precision | None, Model],
    host: Host,
    found: Sequence[Found],
    traffic: Traffic,
    *,
    to: Precision | None = None,
    count: int = 0,
) -> Switch:
    """to: None is the first of the list that fits. Raises NotPossible, and SwitchRefused where no order is safe."""
    profile = _profile(file)
    main = main_of(models)
    if main is None:
        raise NotPossible(f"{file}: memory is reckoned from the checkpoint: name it with --model")
    rooms = {each: room(profile, (models.get(each) or main).shape, each, host) for each in profile.precision}
    replicas = [_replica(profile, rooms, host, each) for each in found]
    chosen = _chosen(file, models, _without(host, rooms, replicas), to)
    wanted = chosen.choice.precision if chosen.choice else profile.precision[0]
    new = _replica(profile, rooms, host, Found(stem(profile, wanted), wanted, None, False, False))
    free = _free(host, replicas, new)
    steps = switch(replicas, new, free=free, load=traffic.load, elsewhere=traffic.elsewhere, count=count)
    _refuse_strangers(steps, found, replicas, traffic.urls)
    return Switch(wanted, tuple(steps), tuple(_memory(steps, free)))


def _refuse_strangers(
    steps: Sequence[Step], found: Sequence[Found], replicas: Sequence[Replica], gateways: Mapping[str, frozenset[str]]
) -> None:
    """An engine that was in service is known to each gateway, or another that has its place is: else the URL is wrong.

    No request could be led away from it before it is stopped, or it would be there twice when it is admitted.
    """
    by_name = {each.name: each for each in found}
    planned = {step.replica.name for step in steps if isinstance(step, Admit | Stop)}
    for place in places(replicas):
        here = [by_name[each.name] for each in place]
        judged = next((each for each in here if each.name in planned and each.running and not each.new), None)
        stranger = next((name for name, urls in gateways.items() if not any(each.url in urls for each in here)), None)
        if judged is not None and stranger is not None:
            raise NotPossible(
                f"{judged.name} would be asked at {judged.url}, and the gateway at {stranger} has no such replica: it "
                f"has {', '.join(sorted(gateways[stranger])) or 'none'}. Give --address as its file spells this host; "
                "if it has none of this engine, add it there first, or stop it by hand"
            )


def stem(profile: Profile, precision: Precision) -> str:
    """The beginning of a new replica's name, fit for files and containers."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', profile.served_names[0])}-{precision}"


def _profile(file: Path) -> Profile:
    try:
        profile, _ = read(file)
    except DocumentError as error:
        raise NotPossible(*map(str, error.mistakes)) from None
    if profile.nodes > 1:
        raise NotPossible(f"{file}: a replica over several hosts is switched by deploying another beside it")
    return profile


def _chosen(file: Path, models: Mapping[Precision | None, Model], host: Host, to: Precision | None) -> Plan:
    chosen = plan(file, models, host, only=to)
    if chosen.mistakes:
        raise NotPossible(*map(str, chosen.mistakes))
    return chosen


def _replica(profile: Profile, rooms: Mapping[Precision, Room], host: Host, found: Found) -> Replica:
    if found.precision not in rooms:
        raise NotPossible(f"{found.name} runs in {found.precision}, which the profile does not list")
    there = rooms[found.precision]
    gpus = found.devices or tuple(f"GPU {index}" for index in range(profile.gpus))
    return Replica(
        found.name, found.precision, taken(profile, there, host), sequences(profile, there),
        (MEMORY,) if there.cpu else gpus, found.replaces, found.running, found.serving,
    )  # fmt: skip


def _without(host: Host, rooms: Mapping[Precision, Room], replicas: Sequence[Replica]) -> Host:
    """What the host has once the engines are gone: a GPU's size says that, free memory does not."""
    back = sum(each.memory for each in replicas if each.running and MEMORY in each.devices)
    return replace(host, memory=host.memory + round(back))


def _free(host: Host, replicas: Sequence[Replica], new: Replica) -> dict[str, float]:
    """Bytes that nobody takes, as measured, or reckoned from what runs where nothing was."""
    free = {MEMORY: float(host.memory)}
    for index, gpu in enumerate(host.gpus):
        name = f"GPU {index}"
        reckoned = gpu.memory - sum(each.memory for each in replicas if each.running and name in each.devices)
        free[name] = float(reckoned if gpu.free is None else gpu.free)
    used = {name for each in (*replicas, new) for name in each.devices}
    return {name: size for name, size in free.items() if name in used}


def _memory(steps: Sequence[Step], free: Mapping[str, float]) -> Sequence[str]:
    """Free before, at the fullest moment, and after."""
    lines = []
    for name, before in free.items():
        now = least = before
        for step in steps:
            if name in step.replica.devices and isinstance(step, Start | Stop):
                now += step.replica.memory * (1 if isinstance(step, Stop) else -1)
                least = min(least, now)
        told = ", ".join(f"{size / 2**30:.1f} GiB {when}" for size, when in (
            (before, "free now"), (least, "on the way"), (now, "afterwards"),
        ))  # fmt: skip
        lines.append(f"{name}: {told}")
    return lines
