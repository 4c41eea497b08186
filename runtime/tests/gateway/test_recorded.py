"""What the cache keeps: whole and good answers only, and the other form of one only where that is exact."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxruntime.gateway import recorded
from wxruntime.gateway.events import Splitter, data_of, is_usage
from wxruntime.gateway.memory import Memory
from wxruntime.gateway.recorded import Recorded

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
HEAD = {"id": "chatcmpl-1", "created": 7, "model": "ernie"}


def event(body: Any) -> bytes:
    return b"data: " + (body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()) + b"\n\n"


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason} | more
    return event({**HEAD, "object": "chat.completion.chunk", "choices": [choice]})


OPENING, SAYS, REST = chunk({"role": "assistant", "content": ""}), chunk({"content": "你"}), chunk({"content": "好"})
STOP, DONE = chunk({}, "stop"), event(b"[DONE]")
USED = event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
GOOD = [OPENING, SAYS, REST, STOP, USED, DONE]


def answer(message: dict[str, Any] | None = None, reason: str | None = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": "你好"} if message is None else message
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE} | more).encode()


def stream(events: list[bytes]) -> Recorded | None:
    return recorded.stream(events, b"text/event-stream", (5, 2), 0.0)


def whole(body: bytes) -> Recorded | None:
    return recorded.whole(body, b"application/json", (5, 2), 0.0)


@given(st.lists(st.integers(1, 9)), st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
def test_a_stream_is_cut_into_the_same_events_wherever_its_pieces_end(sizes: list[int], end: bytes) -> None:
    events = [each.replace(b"\n\n", end) for each in GOOD]
    joined, cutter, found = b"".join(events), Splitter(), list[bytes]()
    for size in [*sizes, len(joined)]:
        found += cutter.feed(joined[:size])
        joined = joined[size:]
    assert found == events
    assert cutter.end() == b""
    assert [data_of(each) for each in found] == [data_of(each) for each in GOOD]


def test_an_event_that_nobody_ended_is_left_over() -> None:
    cutter = Splitter()
    assert cutter.feed(SAYS + b"data: {") == [SAYS]
    assert cutter.end() == b"data: {"


def test_data_in_several_lines_is_one() -> None:
    assert data_of(b'event: x\ndata: {"a":\ndata: 1}\n: comment\n\n') == b'{"a":\n1}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"choices": [], "usage": USAGE}, True),
        ({"choices": [], "usage": None}, False),
        ({"choices": [{"index": 0}], "usage": USAGE}, False),
        ({"choices": [{"index": 0, "delta": {"content": '"usage"'}}]}, False),
        (b'"usage"', False),
    ],
)
def test_the_usage_event_is_the_one_without_choices(body: Any, said: bool) -> None:
    assert is_usage(event(body)) is said


def test_a_stream_is_replayed_byte_for_byte_with_the_usage_event_where_it_is_asked_for() -> None:
    kept = stream(GOOD)
    assert kept is not None
    assert kept.bytes_for(usage=True) == b"".join(GOOD)
    assert kept.bytes_for(usage=False) == b"".join(each for each in GOOD if each != USED)


@pytest.mark.parametrize(
    ("why", "events"),
    [
        ("broken off", [OPENING, SAYS]),
        ("no choice ended", [OPENING, SAYS, DONE]),
        ("one of two choices is open", [OPENING, chunk({"content": "b"}, index=1), STOP, DONE]),
        ("an error event", [OPENING, SAYS, event({"error": {"message": "broke"}}), DONE]),
        ("an error after its end", [OPENING, STOP, event({"error": {"message": "broke"}}), DONE]),
        ("aborted", [OPENING, chunk({}, "abort"), DONE]),
        ("no JSON", [OPENING, event(b"{"), STOP, DONE]),
        ("goes on after its end", [OPENING, STOP, DONE, SAYS]),
        ("nothing but its end", [DONE]),
        ("empty", []),
    ],
)
def test_a_stream_that_is_not_whole_and_good_is_not_kept(why: str, events: list[bytes]) -> None:
    assert stream(events) is None, why


@pytest.mark.parametrize(
    ("why", "body"),
    [
        ("no JSON", b"oops"),
        ("an error", b'{"error": {"message": "no"}}'),
        ("an error beside choices", answer(error={"message": "no"})),
        ("no choices", answer(choices=[])),
        ("aborted", answer(reason="abort")),
        ("not ended", answer(reason=None)),
        ("a list", b"[]"),
        ("deeper than a parser goes", b'{"error": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ],
)
def test_an_answer_that_is_not_whole_and_good_is_not_kept(why: str, body: bytes) -> None:
    assert whole(body) is None, why


@pytest.mark.parametrize("body", [answer(), answer(reason="length"), b'{"object":"list","data":[{"embedding":[1]}]}'])
def test_a_good_answer_is_kept_as_it_is(body: bytes) -> None:
    kept = whole(body)
    assert kept is not None and kept.bytes_for(usage=False) == body


def test_a_stream_of_text_makes_the_whole_answer() -> None:
    kept = stream(GOOD)
    assert kept is not None
    made = recorded.other_form(kept)
    assert made is not None and json.loads(made.body) == json.loads(answer())


def test_a_whole_answer_of_text_makes_a_stream_that_makes_it_again() -> None:
    kept = whole(answer())
    assert kept is not None
    made = recorded.other_form(kept)
    assert made is not None and made.stream
    events = Splitter().feed(made.bytes_for(usage=True))
    assert events[-1] == DONE and is_usage(events[-2])
    again = stream(events)
    assert again is not None
    back = recorded.other_form(again)
    assert back is not None and json.loads(back.body) == json.loads(answer())


def test_completions_convert_too_with_each_choice_by_itself() -> None:
    choices = [{"index": at, "text": text, "logprobs": None, "finish_reason": "length"} for at, text in enumerate("ab")]
    body = json.dumps({**HEAD, "object": "text_completion", "choices": choices, "usage": USAGE}).encode()
    kept = whole(body)
    assert kept is not None
    made = recorded.other_form(kept)
    assert made is not None
    back = recorded.other_form(made)
    assert back is not None and json.loads(back.body) == json.loads(body)


@pytest.mark.parametrize(
    "events",
    [
        [OPENING, SAYS, STOP, DONE],  # no usage, and a whole answer has one
        [OPENING, chunk({"tool_calls": [{"index": 0}]}), STOP, USED, DONE],
        [OPENING, chunk({"reasoning_content": "hm"}), STOP, USED, DONE],
        [OPENING, chunk({"content": "x"}, logprobs={"content": []}), STOP, USED, DONE],
        [OPENING, chunk({"content": "x"}, stop_reason=2), STOP, USED, DONE],
        [chunk({"content": "x"}), STOP, USED, DONE],  # nobody's turn
        [event({**HEAD, "object": "new", "choices": []}), OPENING, STOP, USED, DONE],
    ],
)
def test_what_would_have_to_be_guessed_makes_no_whole_answer(events: list[bytes]) -> None:
    kept = stream(events)
    assert kept is not None
    assert recorded.other_form(kept) is None


@pytest.mark.parametrize(
    "body",
    [
        answer({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
        answer({"role": "assistant", "content": "x", "reasoning_content": "hm"}),
        answer(new_field=1),
        answer(object="new"),
        b'{"object":"list","data":[{"embedding":[1]}]}',
    ],
)
def test_what_would_have_to_be_guessed_makes_no_stream(body: bytes) -> None:
    kept = whole(body)
    assert kept is not None
    assert recorded.other_form(kept) is None


def entry(size: int, stored: float = 1.0) -> Recorded:
    return Recorded(False, b"application/json", b"x" * size, b"", b"", 1, 1, stored)


def test_the_least_recently_used_answer_goes_first() -> None:
    memory = Memory(limit=4000)
    for name in b"ab":
        memory.put(bytes([name]), entry(1000))
    assert memory.get(b"a", newer_than=0) is not None
    memory.put(b"c", entry(1000))
    assert [memory.get(name, newer_than=0) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert memory.evictions == 1


def test_an_answer_that_is_too_old_is_dropped() -> None:
    memory = Memory(limit=4000)
    memory.put(b"a", entry(10, stored=5.0))
    assert memory.get(b"a", newer_than=4.9) is not None
    assert memory.get(b"a", newer_than=5.0) is None
    assert (len(memory), memory.used) == (0, 0)


def test_an_answer_larger_than_the_memory_is_not_kept() -> None:
    memory = Memory(limit=4000)
    memory.put(b"a", entry(100))
    assert not memory.put(b"b", entry(5000))
    assert memory.used <= memory.limit


@given(st.lists(st.tuples(st.sampled_from("pprf"), st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_what_is_held_and_what_is_reserved_never_exceed_the_limit(steps: list[tuple[str, int, int]]) -> None:
    memory, reserved = Memory(limit=6000), list[int]()
    for step, name, size in steps:
        if step == "p":
            memory.put(bytes([name]), entry(size))
        elif step == "r" and memory.reserve(size):
            reserved.append(size)
        elif step == "f" and reserved:
            memory.release(reserved.pop())
        assert 0 <= memory.used <= memory.limit
    for size in reserved:
        memory.release(size)
    while len(memory):
        memory._drop(next(iter(memory._entries)))
    assert memory.used == 0


@pytest.mark.parametrize("size", [0, 700, 20_000])
def test_what_is_counted_is_no_less_than_what_python_takes(size: int) -> None:
    tracemalloc.start()
    try:
        memory = Memory(limit=2_000_000)
        before = tracemalloc.get_traced_memory()[0]
        for at in range(10_000 if size < 1000 else 300):
            body = bytes([at % 256]) * size
            memory.put(
                at.to_bytes(32, "big"), Recorded(True, b"text/event-stream", body, b"u" * 9, b"t" * 9, at, at, at)
            )
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= memory.used <= memory.limit
