"""What a client of the HTTP API can rely on, asked of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from conftest import ANSWER, QUESTION, Server, chat, endless

from wxruntime.engine.routes import MOST_BODY
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


def test_a_temperature_near_zero_is_greedy(server: Server) -> None:
    """The tiniest that a double holds, by which no logit can be divided."""
    assert server.ask(temperature=5e-324).json()["choices"][0]["message"]["content"] == ANSWER
    assert server.ask(temperature=1e-39).json()["choices"][0]["message"]["content"] == ANSWER


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
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 7}, "n"),  # four run, two may wait: it would be turned away for ever
        ({"logprobs": 3}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
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


def test_a_body_that_no_context_could_hold_is_a_413(server: Server) -> None:
    response = server.client.post("/v1/chat/completions", content=b" " * (MOST_BODY + 1))
    assert response.status_code == 413 and str(MOST_BODY) in response.json()["error"]["message"]


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
    """Four are answered at once and two may wait: the seventh is too many."""
    rejected = server.metric("wxruntime:requests_rejected_total")
    chunks: list[Iterator[bytes]] = []
    with ExitStack() as open_streams, ThreadPoolExecutor(2) as pool:
        for running in range(4):
            stream = server.client.stream("POST", "/v1/chat/completions", json=endless(stream=True))
            chunks.append(open_streams.enter_context(stream).iter_bytes())  # one that is let go ends its stream
            next(chunks[running])
            server.wait_until("vllm:num_requests_running", running + 1)
        waiting = [pool.submit(server.ask) for _ in range(2)]
        server.wait_until("vllm:num_requests_waiting", 2)
        refused = server.ask()
        open_streams.close()
        answers = [asked.result().json()["choices"][0]["message"]["content"] for asked in waiting]
    assert refused.status_code == 429
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


def test_n_answers_come_side_by_side_and_are_counted_together(server: Server) -> None:
    body = server.ask(n=3).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in body["choices"]} == {ANSWER}
    assert body["usage"]["completion_tokens"] == 3 * server.ask().json()["usage"]["completion_tokens"]
    texts = ["", "", ""]
    for chunk in events(server.ask(n=3, stream=True)):
        choice = chunk["choices"][0]
        texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == [ANSWER] * 3


def test_the_first_of_n_is_the_one_that_comes_alone_and_the_others_differ(server: Server) -> None:
    asked = {"temperature": 2, "seed": 11, "max_tokens": 20}
    alone = server.ask(**asked).json()["choices"][0]["message"]["content"]
    several = [choice["message"]["content"] for choice in server.ask(n=4, **asked).json()["choices"]]
    assert several[0] == alone and len(set(several)) > 1


def test_a_prompt_may_be_the_ids_of_its_tokens(server: Server) -> None:
    text = f"<|begin_of_sentence|>User: {QUESTION}\nAssistant: "
    tokens = server.client.post("/tokenize", json={"prompt": text}).json()
    assert tokens["count"] == len(tokens["tokens"]) and tokens["max_model_len"] == 8192
    answers = [
        server.client.post("/v1/completions", json={"model": "tiny", "prompt": given}).json()["choices"][0]["text"]
        for given in (text, tokens["tokens"], [tokens["tokens"]])
    ]
    assert answers == [ANSWER] * 3
    outside = server.client.post("/v1/completions", json={"model": "tiny", "prompt": [5, 100_000]})
    assert (outside.status_code, outside.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize("text", ["你是谁？", "鑫龘𠮷野家 🐼", "Mixed 中文 and English.\n\t二"])
def test_tokens_and_their_text_are_each_others_inverse(server: Server, text: str) -> None:
    tokens = server.client.post("/tokenize", json={"prompt": text}).json()["tokens"]
    assert server.client.post("/detokenize", json={"tokens": tokens}).json() == {"prompt": text}


def test_what_is_no_token_has_no_text(server: Server) -> None:
    response = server.client.post("/detokenize", json={"tokens": [5, 2**32]})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "tokens.1")


def test_a_conversation_is_tokenized_as_it_will_be_read(server: Server) -> None:
    messages = chat()["messages"]
    tokens = server.client.post("/tokenize", json={"messages": messages}).json()["tokens"]
    assert len(tokens) == server.ask().json()["usage"]["prompt_tokens"]


def test_ignore_eos_goes_on_to_max_tokens(server: Server) -> None:
    body = server.ask(ignore_eos=True, max_tokens=60).json()
    assert body["usage"]["completion_tokens"] == 60
    assert body["choices"][0]["finish_reason"] == "length"


def test_logprobs_of_a_chat_name_each_token_with_its_alternatives(server: Server) -> None:
    choice = server.ask(logprobs=True, top_logprobs=2).json()["choices"][0]
    content = choice["logprobs"]["content"]
    assert len(content) == server.ask().json()["usage"]["completion_tokens"] - 1  # without the token that ends it
    assert b"".join(bytes(each["bytes"]) for each in content).decode() == choice["message"]["content"]
    assert all(len(each["top_logprobs"]) == 2 for each in content)
    assert all(each["logprob"] == each["top_logprobs"][0]["logprob"] <= 0 for each in content)
    streamed = events(server.ask(logprobs=True, top_logprobs=2, stream=True))
    told = [each for chunk in streamed for each in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert [each["token"] for each in told] == [each["token"] for each in content]


def test_logprobs_of_a_completion_are_in_its_own_shape(server: Server) -> None:
    request = {"model": "tiny", "prompt": "你好", "max_tokens": 5, "logprobs": 2, "ignore_eos": True}
    told = server.client.post("/v1/completions", json=request).json()["choices"][0]["logprobs"]
    assert [len(told[name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")] == [5] * 4
    assert server.ask().json()["choices"][0]["logprobs"] is None


def test_a_shared_prefix_shows_in_usage_and_metrics(server: Server) -> None:
    question = "".join(question for question, _ in LESSONS) * 2
    names = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
    server.ask(question, max_tokens=1)
    before = [server.metric(name) for name in names]
    usage = server.ask(question, max_tokens=1).json()["usage"]
    queries, hits = (server.metric(name) - old for name, old in zip(names, before, strict=True))
    assert queries == usage["prompt_tokens"]
    assert hits == usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"] - 20


def test_load_tells_what_runs_and_what_there_is_room_for(server: Server) -> None:
    with server.client.stream("POST", "/v1/chat/completions", json=endless(stream=True)) as response:
        chunks = response.iter_bytes()
        next(chunks)
        server.wait_until("vllm:num_requests_running", 1)
        load = server.client.get("/load").json()
    assert (load["state"], load["running"], load["waiting"]) == ("ready", 1, 0)
    assert (load["max_running"], load["max_outstanding"], load["context_length"]) == (4, 6, 8192)
    assert 0 < load["kv_usage"] < 1
    server.wait_until("vllm:kv_cache_usage_perc", 0)
