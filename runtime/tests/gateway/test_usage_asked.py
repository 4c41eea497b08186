"""Usage is asked for upstream and left out for who did not ask, wherever a stream's pieces are cut."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import msgspec
import pytest
from calls import call, event, events, in_loop
from hypothesis import given
from hypothesis import strategies as st

from wxruntime.gateway.usage_asked import _without_usage, with_usage


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"stream": True}, True),
        ({"stream": True, "stream_options": None}, True),
        ({"stream": True, "stream_options": {"include_usage": False, "continuous_usage_stats": True}}, True),
        ({"stream": True, "stream_options": {"include_usage": True}}, False),
        ({"stream": False}, False),
        ({}, False),
    ],
)
def test_only_a_stream_that_does_not_ask_is_changed_and_in_nothing_else(
    fields: dict[str, object], changes: bool
) -> None:
    asked = call(**fields)
    changed = with_usage(asked)
    assert (changed is not asked) is changes
    before, after = json.loads(asked.body), json.loads(changed.body)
    if changes:
        assert after.pop("stream_options")["include_usage"] is True
        options = before.pop("stream_options", None) or {}
        assert all(
            json.loads(changed.body)["stream_options"][name] == options[name]
            for name in options
            if name != "include_usage"
        )
    assert before == after


def test_a_body_that_only_lacks_it_keeps_its_bytes() -> None:
    asked = call(stream=True)
    spaced = b"  {" + asked.body[1:-1] + b" }"
    asked.body = spaced
    added = b'"stream_options":{"include_usage":true},'
    assert with_usage(asked).body.replace(added, b"") == spaced


def test_a_prompt_that_speaks_of_it_is_no_option() -> None:
    asked = call(stream=True, messages=[{"role": "user", "content": 'what is "stream_options"?'}])
    body = msgspec.json.decode(with_usage(asked).body)
    assert body["stream_options"] == {"include_usage": True} and "stream_options" in body["messages"][0]["content"]


@given(st.lists(st.integers(1, 60), max_size=20), st.booleans())
def test_the_event_is_left_out_wherever_pieces_end(sizes: list[int], crlf: bool) -> None:
    said = events("a", '"usage"', "b", usage=True)
    said.insert(2, event({"choices": [], "usage": None}))
    kept = [each for at, each in enumerate(said) if at != len(said) - 2]
    end = b"\r\n\r\n" if crlf else b"\n\n"
    joined = b"".join(said).replace(b"\n\n", end)

    async def pieces() -> AsyncGenerator[bytes, None]:
        rest = joined
        for size in [*sizes, len(joined)]:
            if rest[:size]:
                yield rest[:size]
            rest = rest[size:]

    @in_loop
    async def check() -> None:
        out = b"".join([piece async for piece in _without_usage(pieces())])
        assert out == b"".join(kept).replace(b"\n\n", end)

    check()
