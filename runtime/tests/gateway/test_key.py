"""Cache keys: two requests that can differ in output never share one."""

from __future__ import annotations

import copy
import json
import string
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wxruntime.gateway.key import NotCacheable, digest, judge, parse

CHAT: dict[str, Any] = {
    "model": "ernie",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好"}],
    "temperature": 0,
}
ABOUT: dict[str, Any] = {"path": "/v1/chat/completions", "model": "ernie", "revision": "r1", "tenant": "team-a"}

FIELDS = ["model", "messages", "temperature", "top_p", "seed", "stop", "max_tokens", "tools", "n", "made_up"]
LEFT_OUT = {"user", "stream", "stream_options"}  # these have tests of their own

names = st.sampled_from(FIELDS) | st.text(string.ascii_lowercase, min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(names, values, max_size=6)


def key(body: dict[str, Any], **about: Any) -> bytes:
    return digest(parse(json.dumps(body).encode()), **(ABOUT | about))


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three values, 0.0 and -0.0 two."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@settings(max_examples=100, deadline=None)
@given(bodies, bodies)
def test_two_bodies_share_a_key_only_if_they_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(not LEFT_OUT & (set(one) | set(other)))
    assert (key(one) == key(other)) is same(one, other)


@settings(max_examples=150, deadline=None)
@given(bodies, st.data())
def test_any_change_of_one_field_changes_the_key(body: dict[str, Any], data: st.DataObject) -> None:
    body = CHAT | body
    changed = copy.deepcopy(body)
    name = data.draw(st.sampled_from(sorted(body)) | names)
    if data.draw(st.booleans()):
        changed.pop(name, None)
    else:
        changed[name] = data.draw(values)
    assume(not same(body, changed) and name not in LEFT_OUT)
    assert key(body) != key(changed)


@pytest.mark.parametrize("field", ["path", "model", "revision", "tenant"])
def test_where_and_for_whom_it_is_asked_is_in_the_key(field: str) -> None:
    assert key(CHAT) != key(CHAT, **{field: "another"})


def test_clients_share_only_when_they_are_told_to() -> None:
    assert key(CHAT, tenant=None) == key(CHAT, tenant=None)
    assert key(CHAT, tenant=None) not in (key(CHAT), key(CHAT, tenant=""), key(CHAT, tenant="None"))


def test_what_borders_on_another_part_does_not_move_into_it() -> None:
    assert key(CHAT, model="a", revision="bc") != key(CHAT, model="ab", revision="c")


@pytest.mark.parametrize(
    "field",
    [{"stream": True}, {"stream": False}, {"user": "u1"}, {"stream_options": {"include_usage": True}},
     {"stream_options": None}],
)  # fmt: skip
def test_what_changes_no_answer_is_left_out(field: dict[str, Any]) -> None:
    assert key(CHAT | field) == key(CHAT)


@pytest.mark.parametrize(
    "field",
    [{"stream_options": {"include_usage": True, "continuous_usage_stats": True}}, {"temperature": 0.0}, {"seed": 1},
     {"chat_template_kwargs": {"enable_thinking": False}}, {"cache_salt": "x"}, {"logprobs": True}],
)  # fmt: skip
def test_what_might_change_an_answer_is_not(field: dict[str, Any]) -> None:
    assert key(CHAT | field) != key(CHAT)


def test_with_tools_a_stream_and_a_whole_answer_are_two_answers() -> None:
    asked = CHAT | {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert key(asked | {"stream": True}) != key(asked)


def test_order_spaces_and_escapes_are_no_difference() -> None:
    system, user = '{"role":"system","content":"Be brief."}', '{"content":"\\u4f60\\u597d",  "role":"user"}'
    text = f'{{ "temperature":0,\n"messages":[{system},{user}],"model":"ernie"}}'
    assert digest(parse(text.encode()), **ABOUT) == key(CHAT)


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b'"x"', b"{", b"\xff", b"\xef\xbb\xbf{}", b'{"temperature": NaN}', b'{"seed": Infinity}',
     b'{"temperature": 0, "temperature": 1}', b'{"a": {"b": 1, "b": 2}}', '{"a": 1}'.encode("utf-16"),
     b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"seed": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_parsers_read_differently_is_not_cached(body: bytes) -> None:
    with pytest.raises(NotCacheable):
        parse(body)


def test_a_number_beyond_a_double_is_not_cached() -> None:
    with pytest.raises(NotCacheable):
        digest(parse(b'{"temperature": 1e999}'), **ABOUT)


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": -0.0}, True),
        ({"seed": 7}, True),
        ({"seed": 0, "temperature": 0.8}, True),
        ({}, False),  # an omitted temperature is the engine's default, not 0
        ({"temperature": None}, False),
        ({"temperature": False}, False),
        ({"temperature": "0"}, False),
        ({"temperature": 1e-9}, False),
        ({"temperature": 1}, False),
        ({"seed": None}, False),
        ({"seed": -1}, False),
        ({"seed": True}, False),
        ({"seed": 1.5}, False),
    ],
)
def test_only_a_request_that_is_said_to_be_deterministic_is_cached(fields: dict[str, Any], may: bool) -> None:
    if may:
        judge(fields)
    else:
        with pytest.raises(NotCacheable, match="not deterministic"):
            judge(fields)
    judge(fields, insisted=True)
    judge(fields, embedding=True)


@pytest.mark.parametrize(
    ("part", "may"),
    [
        ({"type": "text", "text": "see https://example.com"}, True),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, True),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, False),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, False),
        ({"type": "video_url", "video_url": {"url": "file:///srv/a.mp4"}}, False),
        ({"image_url": {"url": "HTTP://example.com"}}, False),
    ],
)
def test_what_lies_elsewhere_may_change_so_it_is_not_cached(part: dict[str, Any], may: bool) -> None:
    asked = CHAT | {"messages": [{"role": "user", "content": [part]}]}
    if may:
        judge(asked)
    else:
        with pytest.raises(NotCacheable, match="outside"):
            judge(asked, insisted=True)
