"""The stages that a call passes through, and those who watch it pass: the places where parts of the gateway plug in.

    allowlist -> limits -> [cache] -> [edge] -> admission -> relay (picker -> replica)

A stage may answer by itself, or hand the call on and do something with the answer. An observer sees every call and
changes none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from wxruntime.gateway.exchange import Answer, Call, Refusal

if TYPE_CHECKING:
    from wxruntime.gateway.breaker import State
    from wxruntime.gateway.replica import Replica

Proceed = Callable[[Call], Awaitable[Answer]]
Stage = Callable[[Call, Proceed], Awaitable[Answer]]


def chain(stages: Sequence[Stage], last: Proceed) -> Proceed:
    """One function that sends a call through `stages` in order, and then to `last`."""
    proceed = last
    for stage in reversed(stages):
        proceed = _bound(stage, proceed)
    return proceed


def _bound(stage: Stage, proceed: Proceed) -> Proceed:
    def step(call: Call) -> Awaitable[Answer]:
        return stage(call, proceed)

    return step


class Picker(Protocol):
    """Chooses the replica that a call goes to."""

    def pick(self, call: Call, among: Sequence[Replica]) -> Replica:
        """One of `among`, which has at least one; all of them take calls now."""
        ...

    def routed(self, call: Call, replica: Replica) -> None:
        """The call went there: what a picker learns from."""
        ...


class Observer:
    """Sees what happens, synchronously: metrics, audit, traces. Does nothing by itself; methods must be quick."""

    def arrived(self, call: Call) -> None:
        """A call passed the allowlist and was understood."""

    def sent(self, call: Call) -> None:
        """It was handed to `call.replica`; again for each attempt."""

    def piece(self, call: Call, piece: bytes, now: float) -> None:
        """A piece of a stream came from upstream; the first one sets `call.first_byte` before.

        `call.last_byte` is still that of the piece before.
        """

    def ended(self, call: Call) -> None:
        """All is known: outcome, status, times, tokens."""

    def refused(self, refusal: Refusal, client: str | None, address: str) -> None:
        """A request was turned away; `client` is None where nobody on the allowlist asked."""

    def breaker(self, replica: Replica, before: State, after: State) -> None:
        """A replica's circuit breaker changed."""

    def reloaded(self, what: str, error: str | None) -> None:
        """The configuration or the certificates were read again; with an error the old ones stay."""

    def administered(self, action: str, model: str, replica: str, by: str, uid: int | None) -> None:
        """A model's replica was added, drained or removed by a user of this machine, or a change given up for the file.

        replica: its URL; "" where it is all of the model's. uid: of the user; None where it was none.
        """


class Observers(Observer):
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self.all = list(observers)

    def arrived(self, call: Call) -> None:
        for each in self.all:
            each.arrived(call)

    def sent(self, call: Call) -> None:
        for each in self.all:
            each.sent(call)

    def piece(self, call: Call, piece: bytes, now: float) -> None:
        for each in self.all:
            each.piece(call, piece, now)

    def ended(self, call: Call) -> None:
        for each in self.all:
            each.ended(call)

    def refused(self, refusal: Refusal, client: str | None, address: str) -> None:
        for each in self.all:
            each.refused(refusal, client, address)

    def breaker(self, replica: Replica, before: State, after: State) -> None:
        for each in self.all:
            each.breaker(replica, before, after)

    def reloaded(self, what: str, error: str | None) -> None:
        for each in self.all:
            each.reloaded(what, error)

    def administered(self, action: str, model: str, replica: str, by: str, uid: int | None) -> None:
        for each in self.all:
            each.administered(action, model, replica, by, uid)
