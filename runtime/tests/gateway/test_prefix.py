"""Prefix-affine routing: a session stays where its beginning is cached, and no replica is overloaded for it."""

from __future__ import annotations

import random
import time
from collections import Counter, OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxruntime.gateway.prefix import PIECE_CHARACTERS, Balance, PrefixRouter, chain, prompt_text

IDLE = {"a": 0, "b": 0, "c": 0, "d": 0}


def text(pieces: int, seed: int = 0) -> str:
    return "".join(random.Random(seed).choices("abcdefgh ", k=pieces * PIECE_CHARACTERS))


def test_a_prompt_goes_where_its_beginning_was_sent() -> None:
    router = PrefixRouter()
    router.learn(chain(text(10)), "c")
    choice = router.choose(chain(text(10) + text(5, seed=1)), IDLE)
    assert (choice.replica, choice.held) == ("c", 10)


def test_the_replica_that_holds_more_of_it_is_taken() -> None:
    router = PrefixRouter()
    router.learn(chain(text(4)), "a")
    router.learn(chain(text(8)), "b")
    assert router.choose(chain(text(10)), IDLE).replica == "b"


def test_what_nobody_holds_goes_to_the_idlest() -> None:
    assert PrefixRouter().choose(chain(text(5)), {"a": 3, "b": 1, "c": 2}).replica == "b"


def test_equally_idle_replicas_share_new_prompts() -> None:
    router, sent = PrefixRouter(), Counter[str]()
    for seed in range(40):
        pieces = chain(text(3, seed=seed))
        replica = router.choose(pieces, IDLE).replica
        router.learn(pieces, replica)
        sent[replica] += 1
    assert set(sent.values()) == {10}


def test_a_holder_with_too_many_requests_is_passed_over_and_the_idlest_holds_the_prefix_then() -> None:
    router = PrefixRouter(Balance(absolute=4, relative=1.5))
    router.learn(chain(text(10)), "a")
    busy = IDLE | {"a": 5}
    choice = router.choose(chain(text(10)), busy)
    assert choice.replica != "a" and choice.spilled
    router.learn(chain(text(10)), choice.replica)
    again = router.choose(chain(text(10)), busy)
    assert (again.replica, again.held) == (choice.replica, 10)


@pytest.mark.parametrize(("loads", "stays"), [((4, 0), True), ((5, 0), False), ((14, 10), True), ((15, 10), False)])
def test_both_bounds_must_be_passed(loads: tuple[int, int], stays: bool) -> None:
    router = PrefixRouter(Balance(absolute=4, relative=1.25))
    router.learn(chain(text(10)), "a")
    assert (router.choose(chain(text(10)), dict(zip("ab", loads, strict=True))).replica == "a") is stays


def test_a_small_share_of_a_long_prompt_does_not_decide() -> None:
    router = PrefixRouter(Balance(least_share=0.5))
    router.learn(chain(text(4)), "a")
    assert router.choose(chain(text(4) + text(20, seed=1)), {"a": 1, "b": 0}).replica == "b"


def test_a_replica_that_restarts_holds_nothing() -> None:
    router = PrefixRouter()
    router.learn(chain(text(10)), "a")
    router.forget("a")
    assert router.held(chain(text(10)), "a") == 0
    assert router.pieces == {}


def test_only_replicas_that_can_be_reached_are_chosen() -> None:
    router = PrefixRouter()
    router.learn(chain(text(10)), "a")
    assert router.choose(chain(text(10)), {"b": 7}).replica == "b"


def test_texts_share_hashes_exactly_as_far_as_they_are_equal() -> None:
    one, other = text(10), text(6) + "X" + text(10)[6 * PIECE_CHARACTERS + 1 :]
    assert [a == b for a, b in zip(chain(one), chain(other), strict=True)] == [True] * 6 + [False] * 4


def test_the_same_prompt_of_another_model_is_another_prompt() -> None:
    assert not set(chain(text(3), start="ernie-21b")) & set(chain(text(3), start="ernie-0.3b"))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=30), st.integers(1, 20))
def test_what_is_remembered_is_bounded_and_a_beginning_outlives_its_continuations(
    sent: list[tuple[int, int]], capacity: int
) -> None:
    router = PrefixRouter(pieces_per_replica=capacity)
    for branch, length in sent:
        pieces = [hash((branch if depth > 2 else 0, depth)) for depth in range(length)]
        router.learn(pieces, "a")
        held = router._held["a"]
        assert len(held) <= capacity
        known = [piece in held for piece in pieces]
        assert known == sorted(known, reverse=True)
        assert router.held(pieces, "a") == sum(known) == min(length, capacity)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [{"role": "user", "content": "and now?"}]),
        ([{"role": "assistant", "content": "I see."}], [{"role": "user", "content": "and now?"}]),
    ],
)
def test_the_next_turn_of_a_conversation_begins_as_the_last_one(before: list[object], after: list[object]) -> None:
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好"}, *before]
    assert prompt_text({"messages": [*said, *after]}).startswith(prompt_text({"messages": said}))


@pytest.mark.parametrize("body", [{}, {"messages": "no list"}, {"messages": [1, None, {}]}, {"prompt": [[1, 2]]}])
def test_a_prompt_of_any_shape_has_a_text(body: dict[str, object]) -> None:
    assert isinstance(chain(prompt_text(body)), list)


def test_a_choice_takes_microseconds() -> None:
    """About 50 at 10,000 characters on a quiet machine; bounded at ten times that here."""
    router, prompt = PrefixRouter(), text(40)
    router.learn(chain(prompt), "a")
    began = time.process_time()
    for _ in range(200):
        pieces = chain(prompt)
        router.learn(pieces, router.choose(pieces, IDLE).replica)
    assert (time.process_time() - began) / 200 < 500e-6


class Engine:
    """A replica's KV cache: the least recently used pieces go first."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.pool, self.busy_until = capacity, OrderedDict[int, None](), list[float]()

    def read(self, pieces: list[int]) -> int:
        """How many pieces were found."""
        found = next((at for at, piece in enumerate(pieces) if piece not in self.pool), len(pieces))
        for piece in reversed(pieces):
            self.pool[piece] = None
            self.pool.move_to_end(piece)
        while len(self.pool) > self.capacity:
            self.pool.popitem(last=False)
        return found


def sessions(count: int, turns: int, seed: int) -> list[str]:
    """Prompts of many conversations, mixed: each is a system prompt that some share, and all that was said before."""
    dice = random.Random(seed)
    said = {session: text(4, seed=session % 5) for session in range(count)}
    order = [session for session in range(count) for _ in range(turns)]
    dice.shuffle(order)
    prompts = []
    for at, session in enumerate(order):
        said[session] += text(2, seed=1000 + at)
        prompts.append(said[session])
    return prompts


def test_sessions_find_most_of_their_prefix_where_round_robin_finds_little() -> None:
    def share_found(affine: bool) -> float:
        engines = {name: Engine(capacity=400) for name in IDLE}
        router = PrefixRouter(pieces_per_replica=400)
        found = asked = 0
        for at, prompt in enumerate(sessions(count=80, turns=8, seed=7)):
            pieces = chain(prompt)
            name = router.choose(pieces, IDLE).replica if affine else "abcd"[at % 4]
            router.learn(pieces, name)
            found += engines[name].read(pieces)
            asked += len(pieces)
        return found / asked

    assert share_found(affine=True) > 0.75
    assert share_found(affine=False) < 0.5


def test_a_prefix_that_everybody_asks_for_does_not_overload_its_replica() -> None:
    router, loads = PrefixRouter(Balance(absolute=4, relative=1.5)), dict(IDLE)
    hot, dice, most = text(20), random.Random(1), 0
    running: list[str] = []
    for at in range(2000):
        pieces = chain(hot + text(2, seed=at))
        replica = router.choose(pieces, loads).replica
        router.learn(pieces, replica)
        loads[replica] += 1
        running.append(replica)
        if len(running) > 60:
            loads[running.pop(dice.randrange(len(running)))] -= 1
        most = max(most, max(loads.values()) - min(loads.values()))
    assert most <= 5 + 1
