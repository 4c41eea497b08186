"""`echo` of a completion: the prompt before the answer, and how likely its tokens were, as harnesses count on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ANSWER, QUESTION, Server
from test_api import events
from transformers import AutoModelForCausalLM

from wxruntime.backends.base import Load
from wxruntime.checkpoint import read_checkpoint
from wxruntime.engine.engine import Engine
from wxruntime.engine.link import Start
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.openai import ApiError, CompletionRequest
from wxruntime.engine.service import MOST_PROMPT_LOGPROBS, Service
from wxruntime.tokenizer import TextTokenizer

TEXT = f"<|begin_of_sentence|>User: {QUESTION}\nAssistant: "


def complete(server: Server, prompt: Any = TEXT, **fields: Any) -> Any:
    asked = {"model": "tiny", "prompt": prompt, "temperature": 0, **fields}
    response = server.client.post("/v1/completions", json=asked)
    assert response.status_code == 200, response.text
    return response.json()


def tokens_of(server: Server, text: str = TEXT) -> list[int]:
    tokens: list[int] = server.client.post("/tokenize", json={"prompt": text}).json()["tokens"]
    return tokens


@pytest.fixture(scope="module")
def expected(tiny: Path, server: Server) -> torch.Tensor:
    """Of TEXT, by a plain forward pass: [tokens, vocabulary]."""
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    with torch.inference_mode():
        return model(torch.tensor([tokens_of(server)])).logits[0].log_softmax(-1)


def test_echo_alone_puts_the_prompt_before_the_answer(server: Server) -> None:
    choice = complete(server, echo=True)["choices"][0]
    assert (choice["text"], choice["logprobs"]) == (TEXT + ANSWER, None)
    assert complete(server, tokens_of(server), echo=True)["choices"][0]["text"] == TEXT + ANSWER
    assert complete(server, echo=False)["choices"][0]["text"] == complete(server, echo=None)["choices"][0]["text"]


@pytest.mark.parametrize("prompt", ["text", "ids"])
def test_without_an_answer_the_logprobs_are_the_prompts(server: Server, prompt: str, expected: torch.Tensor) -> None:
    tokens = tokens_of(server)
    body = complete(server, TEXT if prompt == "text" else tokens, echo=True, logprobs=1, max_tokens=0)
    choice, told = body["choices"][0], body["choices"][0]["logprobs"]
    assert (choice["text"], choice["finish_reason"]) == (TEXT, "length")
    assert body["usage"]["completion_tokens"] == 0 and body["usage"]["prompt_tokens"] == len(tokens)
    assert [len(told[name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")] == [
        len(tokens)
    ] * 4
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    true = expected[:-1].gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist()
    assert told["token_logprobs"][1:] == pytest.approx(true, abs=1e-4)
    assert [max(each.values()) for each in told["top_logprobs"][1:]] == pytest.approx(
        expected[:-1].amax(-1).tolist(), abs=1e-4
    )
    for text, chosen, top in list(zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True))[1:]:
        assert top[text] == chosen or text == "\ufffd", "a harness compares the two to see what is greedy"


def test_as_lm_evaluation_harness_asks_all_but_the_last_are_the_prompts(server: Server) -> None:
    """It takes token_logprobs[:-1], also where the one token that is drawn ends the answer and is no part of it."""
    whole = tokens_of(server, TEXT + ANSWER)
    for prompt in (tokens_of(server), whole):
        body = complete(server, [prompt], echo=True, logprobs=1, max_tokens=1, seed=1234)
        assert len(body["choices"][0]["logprobs"]["token_logprobs"]) == len(prompt) + 1
    assert (body["choices"][0]["finish_reason"], body["choices"][0]["text"]) == ("stop", TEXT + ANSWER)
    taught = body["choices"][0]["logprobs"]["token_logprobs"][len(tokens_of(server)) :]
    assert min(taught) > -0.5, "the lesson is known by heart"


def test_a_stream_says_what_the_whole_answer_says_and_the_prompt_first(server: Server) -> None:
    fields: dict[str, Any] = {"echo": True, "logprobs": 2, "max_tokens": 6, "ignore_eos": True}
    whole = complete(server, **fields)["choices"][0]
    response = server.client.post(
        "/v1/completions", json={"model": "tiny", "prompt": TEXT, "temperature": 0, "stream": True, **fields}
    )
    choices = [event["choices"][0] for event in events(response)]
    assert choices[0]["text"] == TEXT and len(choices[0]["logprobs"]["tokens"]) == len(tokens_of(server))
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    for name in ("tokens", "top_logprobs", "token_logprobs"):
        assert [each for choice in choices for each in (choice["logprobs"] or {name: []})[name]] == whole["logprobs"][
            name
        ]
    assert choices[1]["logprobs"]["text_offset"][0] == len(TEXT)
    assert choices[-1]["finish_reason"] == "length"


def test_every_one_of_n_answers_has_the_prompt(server: Server) -> None:
    choices = complete(server, echo=True, logprobs=0, n=2, max_tokens=0)["choices"]
    assert [choice["text"] for choice in choices] == [TEXT, TEXT]
    assert choices[0]["logprobs"] == choices[1]["logprobs"] is not None


def test_many_at_once_are_told_what_each_is_told_alone(server: Server) -> None:
    prompts = [tokens_of(server, TEXT + ANSWER[:cut]) for cut in range(5)]

    def ask(prompt: list[int]) -> list[float]:
        body = complete(server, prompt, echo=True, logprobs=0, max_tokens=0)
        told: list[float] = body["choices"][0]["logprobs"]["token_logprobs"][1:]
        return told

    alone = [ask(prompt) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as clients:
        together = list(clients.map(ask, prompts))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_prefix_cache_is_passed_by(server: Server) -> None:
    long = tokens_of(server, TEXT * 5)
    for fields in ({"max_tokens": 1}, {"max_tokens": 0, "echo": True, "logprobs": 0}):
        usage = complete(server, long, **fields)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert complete(server, long, max_tokens=0, echo=True)["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1, "echo": True}, "max_tokens"),
        ({"echo": "yes"}, "echo"),
        ({"echo": True, "logprobs": 21}, "logprobs"),
        ({"echo": True, "max_tokens": 0, "prompt": [7] * 8192}, "prompt"),
    ],
)
def test_what_cannot_be_is_a_400_that_names_the_field(server: Server, fields: dict[str, Any], param: str) -> None:
    response = server.client.post("/v1/completions", json={"model": "tiny", "prompt": TEXT} | fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_more_logprobs_than_an_answer_may_tell_are_refused_before_a_backend_makes_them(tiny: Path) -> None:
    checkpoint = read_checkpoint(tiny)
    engine = Engine(
        Start("", Load(tiny)), TextTokenizer(checkpoint).tokens, Metrics("tiny"), queue_size=99, on_failure=lambda: None
    )
    service = Service(engine, checkpoint, TextTokenizer(checkpoint), Metrics("tiny"), ("tiny",), stall_s=1)
    few, many = (CompletionRequest(model="tiny", prompt="x", echo=True, logprobs=20, n=n) for n in (6, 7))
    with pytest.raises(ApiError, match=f"{7 * 8000 * 21} of the prompt, more than {MOST_PROMPT_LOGPROBS}"):
        service.submit(many, "prompt", [7] * 8000)
    with pytest.raises(ApiError, match="not ready"):
        service.submit(few, "prompt", [7] * 8000)
