"""Which of a profile's precisions the load of now calls for."""

from __future__ import annotations

from collections.abc import Mapping

from wxruntime.profile.against_host import choose
from wxruntime.profile.command import Choice
from wxruntime.profile.host import Host
from wxruntime.profile.model import Load, Precision, Profile
from wxruntime.sizing import Shape

# A larger precision is taken up again when it would hold this many times the load, so that a load which goes up and
# down a little does not switch replicas to and fro.
SPARE = 1.5


def wanted(
    profile: Profile,
    shapes: Mapping[Precision, Shape],
    choices: Mapping[Precision, Choice],
    host: Host,
    current: Precision,
    load: Load,
) -> Precision:
    """The first precision of the list, from FP32 down to INT4, that fits the memory and the load of one replica.

    load: sequences that one replica has at once, and their usual length. Where none holds it, it is the smallest that
    fits at all: requests that find no room wait.
    """
    fitting = _first(profile, shapes, choices, host, load)
    if fitting is None:
        return list(choices)[-1]
    order = list(choices)
    if order.index(fitting) >= order.index(current):
        return fitting
    spared = Load(sequences=max(1, round(load.sequences * SPARE)), tokens=load.tokens)
    roomy = _first(profile, shapes, choices, host, spared)
    return current if roomy is None or order.index(roomy) >= order.index(current) else roomy


def _first(
    profile: Profile,
    shapes: Mapping[Precision, Shape],
    choices: Mapping[Precision, Choice],
    host: Host,
    load: Load,
) -> Precision | None:
    found = choose(profile.model_copy(update={"load": load}), shapes, choices, host)
    return None if isinstance(found, list) else found[0].precision
