"""The gateway in front of the real engine: found ready by a real token, passed through, and left in peace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import httpx
from openai import OpenAI
from processes import Gateway, get, until

from wxruntime.tiny_text import ENDLESS_QUESTION, LESSONS

QUESTION, ANSWER = LESSONS[0]


def asked(question: str = QUESTION, **fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": question}], **fields}


def test_the_real_engine_answers_through_the_gateway(server: Any, gateway: Callable[..., Gateway]) -> None:
    url = str(server.client.base_url).rstrip("/")
    running = gateway(models=[{"name": "tiny", "replicas": [{"url": url, "concurrent": 4}]}])
    until(running.ready, "a real token has come")
    client = OpenAI(base_url=f"{running.url}/v1", api_key="-", http_client=httpx.Client(trust_env=False, verify=False))
    messages: Any = asked()["messages"]
    whole = client.chat.completions.create(model="tiny", messages=messages, temperature=0)
    assert whole.choices[0].message.content == ANSWER
    stream = client.chat.completions.create(model="tiny", messages=messages, temperature=0, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == ANSWER
    with running.client() as http:
        refused = http.post("/v1/chat/completions", json=asked(temperature=9))  # in the engine's own words
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "temperature", (
            "the engine's own words"
        )
        for streaming in (False, True):
            with contextlib.suppress(httpx.ReadTimeout), running.client() as leaver:
                timeout = httpx.Timeout(1.0, read=0.5)
                with leaver.stream(
                    "POST",
                    "/v1/chat/completions",
                    json=asked(ENDLESS_QUESTION, max_tokens=4000, stream=streaming),
                    timeout=timeout,
                ) as answer:
                    next(answer.iter_bytes())
        until(lambda: "vllm:num_requests_running" in (text := get(f"{url}/metrics").text) and idle(text), "it is idle")


def test_a_prompts_own_logprobs_come_through_the_gateway_and_from_its_cache(
    server: Any, gateway: Callable[..., Gateway]
) -> None:
    url = str(server.client.base_url).rstrip("/")
    running = gateway(models=[{"name": "tiny", "replicas": [{"url": url, "concurrent": 4}]}], cache={})
    until(running.ready, "a real token has come")
    evaluation = {"prompt": QUESTION, "echo": True, "logprobs": 1, "max_tokens": 0, "temperature": 0, "model": "tiny"}
    with running.client() as http:
        tokens = http.post("/tokenize", json={"model": "tiny", "prompt": QUESTION}).json()["tokens"]
        answers = [http.post("/v1/completions", json=evaluation) for _ in range(2)]
        streamed = http.post("/v1/completions", json=evaluation | {"stream": True})
        refused = http.post("/v1/completions", json=evaluation | {"echo": False})
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]
    told = answers[0].json()["choices"][0]["logprobs"]
    assert answers[1].json() == answers[0].json() and answers[0].json()["choices"][0]["text"] == QUESTION
    direct = server.client.post("/v1/completions", json=evaluation).json()["choices"][0]["logprobs"]
    assert told == direct and len(told["token_logprobs"]) == len(tokens)
    assert json.dumps(told["tokens"], ensure_ascii=False, separators=(",", ":")) in streamed.text
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "max_tokens")


def idle(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running")]
    return all(float(line.split()[-1]) == 0 for line in lines)
