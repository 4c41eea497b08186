"""Where the response cache keeps answers: within its memory, and in a store that gateways share."""

from __future__ import annotations

import asyncio

import pytest
from caches import asked, made
from calls import Engine, call, events, in_loop

from wxruntime.gateway.recorded import Recorded


@in_loop
async def test_an_answer_too_large_to_keep_streams_through_without_being_held() -> None:
    cache, engine = made(entry_bytes=2000), Engine(*(f"{at} " + "x" * 500 for at in range(2000)))
    answer = await cache(call(stream=True), engine)
    said, most = [], 0
    assert answer.stream is not None
    async for piece in answer.stream:
        said.append(piece)
        await asyncio.sleep(0)
        most = max(most, sum(map(len, next(iter(cache._flights.values())).events)) if cache._flights else 0)
    assert b"".join(said) == b"".join(events(*engine.texts, usage=False))
    assert most < 300_000  # a quarter of a megabyte ahead of its reader
    assert cache.memory.used == 0
    assert (await asked(cache, engine, stream=True))[0] == "MISS"


@in_loop
async def test_memory_is_within_its_bound_whatever_is_recorded_at_once() -> None:
    cache = made(limit=20_000, entry_bytes=15_000)
    engines = [Engine(*("x" * 200 for _ in range(20))) for _ in range(12)]
    most = 0

    async def ask(at: int) -> bytes:
        nonlocal most
        answer, said = await cache(call(stream=True, seed=at), engines[at]), b""
        assert answer.stream is not None
        async for piece in answer.stream:
            said += piece
            most = max(most, cache.memory.used)
            await asyncio.sleep(0)
        return said

    said = await asyncio.gather(*(ask(at) for at in range(12)))
    assert set(said) == {b"".join(events(*engines[0].texts, usage=False))}
    assert 0 < most <= 20_000


class Neighbour:
    """A store that two gateways share."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Recorded] = {}

    async def get(self, slot: bytes) -> Recorded | None:
        await asyncio.sleep(0)
        return self.kept.get(slot)

    def put(self, slot: bytes, answer: Recorded) -> None:
        self.kept[slot] = answer


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_what_one_gateway_was_told_another_one_knows(stream: bool) -> None:
    shared = Neighbour()
    one, other, engine = made(shared=shared), made(shared=shared), Engine()
    first = await asked(one, engine, stream=stream)
    again = await asyncio.gather(*(asked(other, engine, stream=stream) for _ in range(3)))
    assert [label for label, _ in again] == ["HIT"] * 3
    assert {said for _, said in again} == {first[1]}
    assert len(engine.calls) == 1
