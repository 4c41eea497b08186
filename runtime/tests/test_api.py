"""What a client of the HTTP API can rely on, asked of a real server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from conftest import ANSWER, QUESTION, Server, chat, endless

from wxruntime.tiny_text import LESSONS


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON of each event of a finished stream, which must end with [DONE]."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def streamed_text(response: httpx.Response) -> str:
    chunks = [event["choices"][0] for event in events(response) if event["choices"]]
    return "".join(chunk.get("text") or chunk.get("delta", {}).get("content") or "" for chunk in chunks)


@pytest.mark.parametrize(("question", "answer"), LESSONS)
def test_the_tiny_model_gives_its_fixed_answer(server: Server, question: str, answer: str) -> None:
    body = server.ask(question).json()
    assert body["choices"][0]["message"] == {"role": "assistant", "content": answer}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["object"] == "chat.completion"


def test_models_are_listed_and_described(server: Server) -> None:
    listed = server.client.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["tiny"]
    assert server.client.get("/v1/models/tiny").json() == listed["data"][0]
    assert listed["data"][0]["max_model_len"] == 8192


def test_a_stream_says_what_the_whole_answer_says(server: Server) -> None:
    response = server.ask(stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response)
    assert streamed_text(response) == ANSWER
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_a_streams_usage_comes_last_when_asked_for(server: Server) -> None:
    whole = server.ask().json()["usage"]
    last = events(server.ask(stream=True, stream_options={"include_usage": True}))[-1]
    assert last["choices"] == [] and last["usage"] == whole
    assert whole["total_tokens"] == whole["prompt_tokens"] + whole["completion_tokens"]


def test_a_text_completion_continues_the_prompt(server: Server) -> None:
    request = {"model": "tiny", "prompt": f"<|begin_of_sentence|>User: {QUESTION}\nAssistant: "}
    body = server.client.post("/v1/completions", json=request).json()
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"] == ANSWER
    stream = server.client.post("/v1/completions", json=request | {"stream": True})
    assert streamed_text(stream) == ANSWER


def test_text_parts_are_one_text(server: Server) -> None:
    parts = [{"type": "text", "text": QUESTION[:2]}, {"type": "text", "text": QUESTION[2:]}]
    assert server.ask(parts).json()["choices"][0]["message"]["content"] == ANSWER  # type: ignore[arg-type]


def test_an_answer_ends_at_max_tokens(server: Server) -> None:
    body = server.client.post("/v1/chat/completions", json=endless(max_tokens=100)).json()
    assert body["usage"]["completion_tokens"] == 100
    assert body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_ends_before_a_stop_string(server: Server, stream: bool) -> None:
    """The stop string spans several tokens, so a stream must not show its beginning."""
    response = server.ask(stop=["微型模型", "never"], stream=stream)
    text = streamed_text(response) if stream else response.json()["choices"][0]["message"]["content"]
    assert text == ANSWER.split("微型模型")[0]


def test_a_seed_repeats_a_draw_and_another_seed_changes_it(server: Server) -> None:
    def draw(seed: int) -> str:
        answer = server.ask(temperature=2, seed=seed, max_tokens=30).json()
        return str(answer["choices"][0]["message"]["content"])

    assert draw(7) == draw(7)
    assert len({draw(seed) for seed in range(5)}) > 1


def test_a_narrow_nucleus_is_greedy(server: Server) -> None:
    assert server.ask(temperature=2, top_p=0.01).json()["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": 2**63}, "seed"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"usage": True}}, "stream_options.usage"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tempratur": 1}, "tempratur"),
        ({"max_tokens": 9000}, "messages"),
        ({"messages": [{"role": "user", "content": "山" * 9000}]}, "messages"),
    ],
)
def test_wrong_input_is_a_400_that_names_the_field(server: Server, fields: dict[str, Any], param: str) -> None:
    response = server.client.post("/v1/chat/completions", json=chat() | fields)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model": "tiny"}'])
def test_a_body_that_is_no_request_is_a_400(server: Server, body: bytes) -> None:
    response = server.client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_an_unknown_model_is_a_404_that_names_the_served_one(server: Server) -> None:
    response = server.ask(model="ernie-9")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "tiny" in response.json()["error"]["message"]
    assert server.client.get("/v1/models/ernie-9").status_code == 404


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2", 404), ("GET", "/v1/chat/completions", 405)])
def test_a_wrong_path_or_method_answers_in_openais_shape(server: Server, method: str, path: str, status: int) -> None:
    response = server.client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_a_client_that_leaves_a_stream_frees_the_engine(server: Server) -> None:
    aborted = server.metric('vllm:request_success_total{finished_reason="abort",model_name="tiny"}')
    with server.client.stream("POST", "/v1/chat/completions", json=endless(stream=True)) as response:
        chunks = response.iter_bytes()
        next(chunks)
        server.wait_until("vllm:num_requests_running", 1)
    server.wait_until('vllm:request_success_total{finished_reason="abort",model_name="tiny"}', aborted + 1, 2)
    server.wait_until("vllm:num_requests_running", 0)


def test_a_client_that_gives_up_on_a_whole_answer_frees_the_engine(server: Server) -> None:
    aborted = server.metric('vllm:request_success_total{finished_reason="abort",model_name="tiny"}')
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/chat/completions", json=endless(), timeout=0.3)
    server.wait_until('vllm:request_success_total{finished_reason="abort",model_name="tiny"}', aborted + 1, 2)


def test_a_full_queue_turns_requests_away_and_serves_the_rest(server: Server) -> None:
    rejected = server.metric("wxruntime:requests_rejected_total")
    with (
        ThreadPoolExecutor(2) as pool,
        server.client.stream("POST", "/v1/chat/completions", json=endless(stream=True)) as blocking,
    ):
        chunks = blocking.iter_bytes()
        next(chunks)
        server.wait_until("vllm:num_requests_running", 1)
        waiting = [pool.submit(server.ask) for _ in range(2)]
        server.wait_until("vllm:num_requests_waiting", 2)
        refused = server.ask()
        blocking.close()
        answers = [asked.result().json()["choices"][0]["message"]["content"] for asked in waiting]
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "queue_full"
    assert answers == [ANSWER, ANSWER]
    assert server.metric("wxruntime:requests_rejected_total") == rejected + 1


def test_metrics_count_what_was_asked(server: Server) -> None:
    counted = (
        'vllm:request_success_total{finished_reason="stop",model_name="tiny"}',
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:time_to_first_token_seconds_count",
        "vllm:e2e_request_latency_seconds_count",
        "vllm:inter_token_latency_seconds_count",
    )
    before = [server.metric(name) for name in counted]
    usage = server.ask().json()["usage"]
    made = usage["completion_tokens"]
    expected = [1, usage["prompt_tokens"], made, 1, 1, made - 1]
    assert [server.metric(name) - old for name, old in zip(counted, before, strict=True)] == expected


def test_health_tells_progress(server: Server) -> None:
    before = server.client.get("/health").json()
    server.ask()
    after = server.client.get("/health").json()
    assert (before["status"], before["state"]) == ("ok", "ready")
    assert after["steps"] > before["steps"]
