"""The stage that answers what was asked before, and asks once what many ask at the same time.

    X-Cache: HIT     the answer was there, or on its way for somebody else; an Age in seconds says since when
    X-Cache: MISS    an engine made it; it is kept when it is whole and good
    X-Cache: BYPASS  it was neither looked up nor kept, because the request may be answered otherwise each time

A client says `Cache-Control: no-cache` for a new answer, which is kept, `no-store` for one that is not, `max-age=N` for
one that is at most N seconds old, and `X-Cache: store` to have an answer kept that is not deterministic.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from wxruntime.gateway import config, key, recorded
from wxruntime.gateway.exchange import Answer, Call, Headers
from wxruntime.gateway.flight import Flight
from wxruntime.gateway.memory import Memory
from wxruntime.gateway.pipeline import Proceed
from wxruntime.gateway.recorded import Recorded
from wxruntime.gateway.usage_asked import wants_usage, with_usage

ROUTES = frozenset({"chat", "completion", "embedding"})
Result = Literal["hit", "joined", "miss", "bypass"]


class Shared(Protocol):
    """Answers that several gateways keep together. Never raises: a store that is down holds nothing."""

    async def get(self, slot: bytes) -> Recorded | None: ...

    def put(self, slot: bytes, answer: Recorded) -> None: ...

    async def close(self) -> None: ...

    @property
    def failures(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client's headers say about the cache."""

    no_store: bool = False
    no_cache: bool = False
    max_age: float | None = None
    insisted: bool = False

    def takes(self, found: Recorded, ttl_seconds: float) -> bool:
        """Whether an answer is young enough."""
        age = time.time() - found.stored
        return age < ttl_seconds and (self.max_age is None or age <= self.max_age)

    @classmethod
    def of(cls, headers: Headers) -> Wishes:
        said = {name: value.decode("latin-1").lower() for name, value in headers if name in _WISHES}
        control = said.get(b"cache-control", "")
        words = {word.strip() for word in control.split(",")}
        age = re.search(r"\bmax-age=(\d{1,9})\b", control)
        return cls(
            "no-store" in words,
            "no-cache" in words,
            float(age.group(1)) if age else None,
            said.get(b"x-cache", "").strip() == "store",
        )


_SAID = re.compile(rb'"temperature"|"seed"|\\u')  # or an escape, behind which either may hide
_WISHES = frozenset({b"cache-control", b"x-cache"})
NO_WISHES = Wishes()


class ResponseCache:
    """One cache for all models of a gateway.

    revision: tells the revision of a model by its name; another one has other answers.
    by_client: whether clients' answers are kept apart.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        entry_bytes: int,
        ttl_seconds: float,
        by_client: bool,
        revision: Callable[[str], str],
        shared: Shared | None = None,
    ) -> None:
        self.memory = memory
        self.entry_bytes, self.ttl_seconds, self.by_client = entry_bytes, ttl_seconds, by_client
        self.revision, self.shared = revision, shared
        self.results = Counter[tuple[str, Result]]()  # by model
        self.saved_tokens = Counter[tuple[str, Literal["input", "output"]]]()
        self._flights: dict[bytes, Flight] = {}

    @classmethod
    def of(cls, settings: config.Cache, revision: Callable[[str], str]) -> ResponseCache:
        """The cache that the configuration describes."""
        shared = None
        if settings.shared is not None:
            from wxruntime.gateway.shared_store import SharedStore

            shared = SharedStore(settings.shared, ttl_seconds=settings.seconds)
        return cls(
            Memory(settings.memory_bytes),
            entry_bytes=settings.answer_bytes,
            ttl_seconds=settings.seconds,
            by_client=settings.clients == "apart",
            revision=revision,
            shared=shared,
        )

    async def close(self) -> None:
        if self.shared is not None:
            await self.shared.close()

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.route not in ROUTES:
            return await proceed(call)
        given = any(name in _WISHES for name, _ in call.headers)
        wishes = Wishes.of(call.headers) if given else NO_WISHES
        slot = self._slot(call, wishes)
        if slot is None:
            self._note(call, "bypass")
            answer = await proceed(call)
            answer.headers = [*_without(answer.headers, b"x-cache"), _label(call)]
            return answer
        if not wishes.no_cache:
            if (found := self._find(slot, wishes)) is not None:
                return self._replay(call, found)
            flight = self._flights.get(slot)
            if flight is not None and flight.joinable:
                return await self._aboard(call, flight, "joined")
        return await self._aboard(call, self._begin(call, slot, proceed, wishes), "miss")

    def _slot(self, call: Call, wishes: Wishes) -> bytes | None:
        if wishes.no_store:
            return None
        if call.route != "embedding" and not wishes.insisted and not _SAID.search(call.body):
            return None  # most requests: not deterministic, which is seen without reading them
        try:
            asked = key.parse(call.body)
            key.judge(asked, embedding=call.route == "embedding", insisted=wishes.insisted)
            digest = key.digest(
                asked,
                path=call.path.decode("latin-1"),
                model=call.model,
                revision=self.revision(call.model),
                tenant=call.guest.name if self.by_client else None,
            )
        except key.NotCacheable:
            return None
        return digest + (b"s" if call.streaming else b"w")

    def _find(self, slot: bytes, wishes: Wishes) -> Recorded | None:
        """The answer in the form that is asked for; made from the other form where that is there and exact."""
        oldest = time.time() - self.ttl_seconds
        if (found := self.memory.get(slot, newer_than=oldest)) is None:
            other = self.memory.get(_other(slot), newer_than=oldest)
            found = recorded.other_form(other) if other is not None else None
            if found is not None:
                self.memory.put(slot, found)
        return found if found is not None and wishes.takes(found, self.ttl_seconds) else None

    def _replay(self, call: Call, found: Recorded) -> Answer:
        self._note(call, "hit")
        self.saved_tokens[call.model, "input"] += found.prompt_tokens
        self.saved_tokens[call.model, "output"] += found.completion_tokens
        call.first_byte = call.last_byte = time.monotonic()
        call.usage.exact = True  # no engine made a token
        headers = [
            (b"content-type", found.content_type),
            (b"age", b"%d" % max(0, time.time() - found.stored)),
            (b"x-request-id", call.id.encode()),
            _label(call),
        ]
        if found.stream:
            headers.append((b"cache-control", b"no-cache"))
        return Answer(200, headers, found.bytes_for(usage=wants_usage(call.asked)))

    def _begin(self, call: Call, slot: bytes, proceed: Proceed, wishes: Wishes) -> Flight:
        """Ask the gateways with which answers are shared, and then an engine."""

        async def ask(flight: Flight) -> Answer:
            if self.shared is not None and not wishes.no_cache:
                found = await self.shared.get(slot)
                if found is not None and wishes.takes(found, self.ttl_seconds):
                    self.memory.put(slot, found)
                    flight.found = found
                    return Answer(200, [])
            return await proceed(flight.call)

        def landed(flight: Flight) -> None:
            if self._flights.get(slot) is flight:
                del self._flights[slot]
            self._keep(slot, flight)

        # Whoever joins may want the usage event, so it is asked for and left out for those who do not.
        flight = Flight(with_usage(call), ask, landed, self.memory, self.entry_bytes)
        self._flights[slot] = flight
        return flight

    async def _aboard(self, call: Call, flight: Flight, result: Result) -> Answer:
        seat = flight.join(call)
        answer = await flight.ready(seat)
        if flight.found is not None:
            flight.leave(seat)
            return self._replay(call, flight.found)
        self._note(call, result)
        headers = _without(answer.headers, b"x-request-id", b"x-cache")
        headers += [(b"x-request-id", call.id.encode()), _label(call)]
        if call.streaming and not answer.body:
            return Answer(answer.status, headers, stream=flight.stream(seat, usage=wants_usage(call.asked)))
        flight.leave(seat)
        return Answer(answer.status, headers, answer.body)

    def _keep(self, slot: bytes, flight: Flight) -> None:
        answer, call = flight.answer, flight.call
        if answer is None or flight.found is not None or not flight.good or not flight.recording:
            return
        self.saved_tokens[call.model, "input"] += (flight.joined - 1) * call.usage.prompt
        self.saved_tokens[call.model, "output"] += (flight.joined - 1) * call.usage.completion
        if answer.status != 200 or call.outcome != "answered" or call.engine != "primary":
            return  # what an emergency engine says is not what the model says
        kind = next((value for name, value in answer.headers if name == b"content-type"), b"")
        tokens = call.usage.prompt, call.usage.completion
        if flight.events:
            made = recorded.stream(flight.events, kind, tokens, time.time())
        else:
            made = recorded.whole(answer.body, kind, tokens, time.time())
        if made is not None and made.memory <= self.entry_bytes:
            self.memory.put(slot, made)
            if self.shared is not None:
                self.shared.put(slot, made)

    def _note(self, call: Call, result: Result) -> None:
        call.cache = {"hit": "HIT", "joined": "HIT", "miss": "MISS", "bypass": "BYPASS"}[result]
        self.results[call.model, result] += 1


def _without(headers: Headers, *names: bytes) -> Headers:
    return [each for each in headers if each[0] not in names]


def _label(call: Call) -> tuple[bytes, bytes]:
    assert call.cache is not None
    return b"x-cache", call.cache.encode()


def _other(slot: bytes) -> bytes:
    """Where the same answer lies in the other form: streams end in s, whole answers in w."""
    return slot[:-1] + (b"w" if slot.endswith(b"s") else b"s")
