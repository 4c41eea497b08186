"""What goes to the center: rules over a request, and how sure the small model was of its answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import yaml
from calls import EVENTS, JSON, Engine, call, event, header, in_loop, over, read
from pydantic import ValidationError

from wxruntime.document import DocumentError
from wxruntime.gateway import config, config_file
from wxruntime.gateway.center_client import CenterLost
from wxruntime.gateway.edge import Edge
from wxruntime.gateway.edge_policy import Policy
from wxruntime.gateway.exchange import Answer, Call, Usage

RULES = [
    {"pattern": "step by step|一步一步|证明|prove"},
    {"pattern": "```", "weight": 0.5},
    {"pattern": r"\\int|\\sum", "weight": 0.5},
]


def policy(**settings: Any) -> Policy:
    return Policy(config.EdgePolicy.model_validate(settings))


def asks(text: Any, *before: Any) -> Call:
    return call(messages=[*before, {"role": "user", "content": text}])


@pytest.mark.parametrize(
    ("settings", "asked", "waiting", "reason"),
    [
        ({}, call(), 99, None),
        ({"models": ["ernie"]}, call(), 0, "model"),
        ({"models": ["ernie-21b"]}, call(), 0, None),
        ({"prompt_characters": 20}, asks("x" * 10), 0, None),
        ({"prompt_characters": 20}, asks("x" * 30), 0, "length"),
        ({"prompt_characters": 20}, asks("x", {"role": "system", "content": "x" * 30}), 0, "length"),
        ({"prompt_characters": 20}, call(route="completion", prompt="x" * 30, messages=...), 0, "length"),
        ({"complexity": RULES}, asks("What is the capital of France?"), 0, None),
        ({"complexity": RULES}, asks("Explain STEP BY STEP why"), 0, "complexity"),
        ({"complexity": RULES}, asks("请证明勾股定理"), 0, "complexity"),
        ({"complexity": RULES}, asks("```x``` is this right?"), 0, None),
        ({"complexity": RULES}, asks("```x``` is \\int f right?"), 0, "complexity"),
        ({"complexity": RULES}, asks([{"type": "text", "text": "prove it"}]), 0, "complexity"),
        ({"complexity": RULES}, asks("Thanks!", {"role": "user", "content": "prove it"}), 0, None),
        ({"queue": 4}, call(), 3, None),
        ({"queue": 4}, call(), 4, "queue"),
        ({"complexity": RULES}, call(messages=[1, None, {}]), 0, None),
    ],
)
def test_a_rule_that_holds_sends_a_request_to_the_center(
    settings: dict[str, Any], asked: Call, waiting: int, reason: str | None
) -> None:
    assert policy(**settings).judge(asked, waiting) == reason


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="regular expression"):
        policy(complexity=[{"pattern": "("}])


def test_a_name_that_only_the_center_knows_is_a_mistake_with_what_to_do(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("")
    tls = {"ca": str(tmp_path / "ca"), "certificate": str(tmp_path / "cert"), "key": str(tmp_path / "key")}
    model = {"name": "ernie-0.3b", "replicas": [{"url": "http://127.0.0.1:1"}]}
    edge = {"host": "c", "port": 1, "tls": tls, "policy": {"models": ["ernie-21b"]}}
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({"models": [model], "edge": edge}))
    with pytest.raises(DocumentError, match=r"ernie-21b.*make it an alias of the model that answers"):
        config_file.read(path)


class Small(Engine):
    """A small model that tells how likely its tokens were, when it is asked."""

    def __init__(self, *logprobs: float, tells: bool = True) -> None:
        super().__init__(*(f"t{at}" for at in range(len(logprobs))))
        self.logprobs, self.tells = logprobs, tells

    async def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        call.replica, call.endings = "http://small", [*call.endings, lambda: self.given_back.append(call)]
        asked = json.loads(call.body)
        if asked.get("logprobs") and not self.tells:
            return Answer(400, JSON, b'{"error": {"message": "logprobs"}}')
        if call.streaming:
            return Answer(200, EVENTS, stream=self._told(call, bool(asked.get("logprobs"))))
        call.usage = Usage(5, len(self.logprobs), True)
        tokens = [{"token": "t", "logprob": each} for each in self.logprobs]
        choice = {"index": 0, "message": {"role": "assistant", "content": "small"}, "finish_reason": "stop"}
        return Answer(200, JSON, json.dumps({"choices": [choice | {"logprobs": {"content": tokens}}]}).encode())

    given_back: list[Call]

    async def _told(self, call: Call, wanted: bool) -> AsyncGenerator[bytes, None]:
        try:
            for at, logprob in enumerate(self.logprobs):
                told = {"content": [{"token": "t", "logprob": logprob}]} if wanted else None
                yield event({"choices": [{"index": 0, "delta": {"content": f"t{at}"}, "logprobs": told}]})
                call.usage.completion += 1
            yield event(b"[DONE]")
        except GeneratorExit:
            self.cancelled += 1
            raise


class Center:
    up = True

    def __init__(self, lost: bool = False) -> None:
        self.lost, self.bodies = lost, list[Any]()

    async def ask(self, call: Call, body: bytes) -> Answer:
        self.bodies.append(json.loads(body))
        if self.lost:
            raise CenterLost("down")
        return Answer(200, list(JSON), b'{"from": "center"}')


def edge(center: Center, mean_logprob: float = -1.0, tokens: int = 4) -> Edge:
    made = Edge.__new__(Edge)  # without the line to a center: that has tests of its own
    settings = {
        "host": "c", "port": 1, "model": "big", "tls": {"ca": "a", "certificate": "b", "key": "c"},
        "policy": {"mean_logprob": mean_logprob, "logprob_tokens": tokens},
    }  # fmt: skip
    made.settings = config.Edge.model_validate(settings)
    made.policy = Policy(made.settings.policy)
    made.center = center  # type: ignore[assignment]
    made.answered, made.unsure = Counter(), 0
    made._waiting = lambda _: 0
    return made


def small(*logprobs: float, tells: bool = True) -> Small:
    engine = Small(*logprobs, tells=tells)
    engine.given_back = []
    return engine


SURE, UNSURE = (-0.1, -0.2, -0.1, -0.3, -9.0, -9.0), (-3.0, -2.0, -0.5, -1.5, -0.1, -0.1)


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_a_small_model_that_is_sure_answers_and_its_log_probabilities_stay_here(stream: bool) -> None:
    center, engine, one = Center(), small(*SURE), call(stream=stream)
    answer = await edge(center)(one, engine)
    said = await read(answer)
    assert b"center" not in said and b'"logprob"' not in said
    assert header(answer, "x-wxops-engine") is None
    if stream:
        assert said.count(b"data: ") == 7
    over(one)
    assert engine.given_back == [engine.calls[0]] and center.bodies == []
    assert one.usage.completion == 6 and one.replica == "http://small"


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_one_that_is_not_is_stopped_and_the_center_is_asked(stream: bool) -> None:
    center, engine, one = Center(), small(*UNSURE), call(stream=stream)
    deciding = edge(center)
    answer = await deciding(one, engine)
    assert await read(answer) == b'{"from": "center"}'
    assert (header(answer, "x-wxops-engine"), header(answer, "x-wxops-reason")) == ("center", "confidence")
    assert center.bodies[0]["model"] == "big" and "logprobs" not in center.bodies[0]
    assert engine.given_back == [engine.calls[0]]  # its place is free before the center's answer is through
    assert engine.cancelled == (1 if stream else 0)
    assert deciding.unsure == 1


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_without_the_center_an_unsure_answer_is_given_and_said_to_be_the_edges_alone(stream: bool) -> None:
    engine, one = small(*UNSURE), call(stream=stream)
    answer = await edge(Center(lost=True))(one, engine)
    said = await read(answer)
    assert header(answer, "x-wxops-engine") == "edge-alone"
    assert (said.count(b"data: ") == 7) if stream else b"small" in said
    over(one)
    assert len(engine.calls) == 1 and engine.given_back == engine.calls


@in_loop
async def test_a_client_that_wants_log_probabilities_gets_them() -> None:
    answer = await edge(Center())(call(stream=True, logprobs=True), small(*SURE))
    assert (await read(answer)).count(b'"logprob"') == 6


@in_loop
async def test_an_engine_that_tells_none_answers_as_it_can() -> None:
    center, engine = Center(), small(*UNSURE, tells=False)
    answer = await edge(center)(call(), engine)
    assert b"small" in await read(answer) and center.bodies == []
    assert len(engine.calls) == 2


@in_loop
async def test_a_completion_with_echo_is_answered_as_it_is_since_its_prompts_tokens_would_count() -> None:
    center, engine = Center(), small(*UNSURE)
    one = call(route="completion", prompt="x", echo=True, logprobs=1)
    deciding = edge(center)
    assert b"small" in await read(await deciding(one, engine))
    assert engine.calls == [one] and center.bodies == []
    assert deciding.answered == {("edge", "unknown"): 1}
