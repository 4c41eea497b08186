"""A place at the engines: as many calls as the replicas take go on, a bounded number waits, the rest is turned away.

The most urgent wait first (0 before 9). Within a priority clients take turns, so that one with a thousand requests does
not stand before one with a single request; and when the queue is full, who has most in it gives way.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wxruntime.gateway import config
from wxruntime.gateway.exchange import Answer, Call, Refusal
from wxruntime.gateway.models import Model, Models
from wxruntime.gateway.pipeline import Proceed
from wxruntime.gateway.replica import Replica


@dataclass(slots=True, eq=False)
class Waiter:
    priority: int
    client: str
    turn: asyncio.Future[None]
    queued: bool = True

    @property
    def admitted(self) -> bool:
        return self.turn.done() and not self.turn.cancelled() and self.turn.exception() is None


class Queue:
    """Waiters by priority, and by client within it."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[Waiter]]] = {}
        self.length = 0

    def add(self, waiter: Waiter) -> None:
        clients = self._levels.setdefault(waiter.priority, OrderedDict())
        clients.setdefault(waiter.client, deque()).append(waiter)
        self.length += 1

    def count(self, priority: int, client: str) -> int:
        clients = self._levels.get(priority)
        return len(clients.get(client, ())) if clients else 0

    def remove(self, waiter: Waiter) -> None:
        if not waiter.queued:
            return
        waiter.queued = False
        clients = self._levels[waiter.priority]
        waiting = clients[waiter.client]
        waiting.remove(waiter)
        self.length -= 1
        if not waiting:
            del clients[waiter.client]
            if not clients:
                del self._levels[waiter.priority]

    def next(self) -> Waiter | None:
        """The one whose turn it is; its client goes to the end of its priority's round."""
        if not self._levels:
            return None
        clients = self._levels[min(self._levels)]
        client, waiting = next(iter(clients.items()))
        waiter = waiting[0]
        clients.move_to_end(client)
        self.remove(waiter)
        return waiter

    def gives_way_to(self, priority: int, client: str) -> Waiter | None:
        """Who leaves a full queue for a new call: someone less urgent, or of a client that has more waiting."""
        lowest = max(self._levels, default=priority)
        if lowest < priority:
            return None
        greedy, waiting = max(self._levels[lowest].items(), key=lambda item: len(item[1]), default=(client, deque()))
        if lowest > priority or (greedy != client and len(waiting) > self.count(priority, client) + 1):
            return waiting[-1]
        return None

    def __iter__(self) -> Iterator[Waiter]:
        for clients in self._levels.values():
            for waiting in clients.values():
                yield from waiting


class Gate:
    """The places at one model's replicas."""

    def __init__(self, model: Model, settings: config.Admission, leaving: Sequence[Replica] = ()) -> None:
        """leaving: replicas, of any model, that the configuration has no more and that have calls to end."""
        self.model, self.settings, self._leaving = model, settings, leaving
        self.running = 0
        self.queue = Queue()
        self._seconds = 1.0  # that a call takes, smoothed

    @property
    def places(self) -> int:
        return sum(replica.concurrent for replica in self.model.available)

    @property
    def taken(self) -> int:
        """Places that are taken: not by calls that end at replicas which get no new ones."""
        left = (each for each in self._leaving if each.model == self.model.name)
        draining = (each for each in self.model.replicas if each.draining)
        return self.running - sum(each.running for each in (*left, *draining))

    async def enter(self, call: Call) -> None:
        """Return when it is the call's turn; a Refusal when the queue is full or the wait too long."""
        places = self.places
        if places == 0 or (self.taken < places and not self.queue.length):
            self.running += 1  # with no replica up, what is next says so better than a queue
            return
        if self.queue.length >= self.settings.queue:
            self._make_room(call, places)
        waiter = Waiter(call.guest.priority, call.guest.name, asyncio.get_running_loop().create_future())
        self.queue.add(waiter)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + call.deadline - time.monotonic()):
                await waiter.turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter.admitted:  # in this very moment
                self.leave(None)
            self.queue.remove(waiter)
            if isinstance(error, TimeoutError):
                raise self._full(503, "queue_wait", "waited too long for a turn", places) from None
            raise

    def leave(self, seconds: float | None) -> None:
        """A call is over that took `seconds`; the next one's turn."""
        self.running -= 1
        if seconds is not None:
            self._seconds += 0.1 * (seconds - self._seconds)
        if self.queue.length:
            self.pump()

    def pump(self) -> None:
        """Let in as many as there are places for; everybody, to be told so, when no replica is left."""
        places = self.places
        while self.queue.length and (places == 0 or self.taken < places):
            waiter = self.queue.next()
            if waiter is not None and not waiter.turn.done():
                self.running += 1
                waiter.turn.set_result(None)

    def _make_room(self, call: Call, places: int) -> None:
        refusal = self._full(429, "queue_full", f"{self.queue.length} requests wait for {self.model.name}", places)
        victim = self.queue.gives_way_to(call.guest.priority, call.guest.name)
        if victim is None:
            raise refusal
        self.queue.remove(victim)
        if not victim.turn.done():
            victim.turn.set_exception(refusal)

    def _full(self, status: int, code: str, message: str, places: int) -> Refusal:
        """Come back when about half of those that wait now have been answered."""
        return Refusal(status, code, message, retry_after=self._seconds * (1 + self.queue.length / 2 / max(1, places)))


class Admission:
    """The stage before the relay."""

    def __init__(self, settings: config.Admission, leaving: Sequence[Replica] = ()) -> None:
        self.settings, self._leaving = settings, leaving
        self.gates: dict[str, Gate] = {}

    def use(self, models: Models, settings: config.Admission) -> None:
        """Take up a configuration: gates of models that stay keep those who wait in them."""
        self.settings = settings
        for model in models.all:
            gate = self.gates.get(model.name)
            if gate is None:
                self.gates[model.name] = Gate(model, settings, self._leaving)
            else:
                gate.model, gate.settings = model, settings
        self.pump()

    def pump(self) -> None:
        """Replicas have come or gone."""
        for gate in self.gates.values():
            gate.pump()

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        gate = self.gates[call.model]
        await gate.enter(call)
        admitted = call.admitted = time.monotonic()
        call.endings.append(lambda: gate.leave(time.monotonic() - admitted))
        return await proceed(call)
