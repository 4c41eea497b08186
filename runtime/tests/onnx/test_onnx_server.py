"""The emergency engine behind OpenAI's API, where neither PyTorch nor transformers can be imported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Server, endless, run_wxruntime

from wxruntime.tiny_text import LESSONS

FORBIDDEN = ("torch", "transformers", "onnxruntime_genai", "onnx")


@pytest.fixture(scope="module")
def emergency(tiny_int4: Path, serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    poisoned = tmp_path_factory.mktemp("poisoned")
    for name in FORBIDDEN:
        (poisoned / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(poisoned))
        return serve("--backend", "onnx", "--max-sequences", "4", "--threads", "1", model=tiny_int4)


def test_all_lessons_at_once_are_answered_without_pytorch(emergency: Server) -> None:
    with ThreadPoolExecutor(len(LESSONS)) as clients:
        answers = list(clients.map(lambda lesson: emergency.ask(lesson[0]).json(), LESSONS))
    said = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert said == [answer for _, answer in LESSONS]
    assert {answer["choices"][0]["finish_reason"] for answer in answers} == {"stop"}


def test_a_client_that_leaves_frees_its_row_at_once(emergency: Server) -> None:
    tale = endless(stream=True, max_tokens=8000, ignore_eos=True)
    with emergency.client.stream("POST", "/v1/chat/completions", json=tale) as stream:
        lines = stream.iter_lines()  # kept: httpx closes the stream when its iterator goes
        assert next(lines).startswith("data: ")
        emergency.wait_until("vllm:num_requests_running", 1)
    emergency.wait_until("vllm:num_requests_running", 0)
    emergency.wait_until("vllm:kv_cache_usage_perc", 0)


def test_a_seed_repeats_an_answer_in_any_company(tiny_fp32: Path, serve: Callable[..., Server]) -> None:
    """Of fp32: int4 reckons a step of more than three tokens in 8 bits, so a close draw may come out otherwise."""
    server = serve("--backend", "onnx", "--max-sequences", "4", "--threads", "1", model=tiny_fp32)

    def ask(seed: int) -> str:
        fields = {"temperature": 1.5, "seed": seed, "max_tokens": 20}
        content: str = server.ask("你好", **fields).json()["choices"][0]["message"]["content"]
        return content

    alone = [ask(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(4) as clients:
        together = list(clients.map(ask, (1, 2, 1, 2)))
    assert together == alone * 2
    assert alone[0] != alone[1]


def test_a_prompts_own_logprobs_are_told_without_pytorch_in_any_company(emergency: Server) -> None:
    """An answer known by heart is likelier than the same tokens after another question."""

    def told(question: str, answer: str) -> list[float]:
        prompt = f"<|begin_of_sentence|>User: {question}\nAssistant: {answer}"
        asked = {"model": "tiny", "prompt": prompt, "echo": True, "logprobs": 0, "max_tokens": 0}
        body = emergency.client.post("/v1/completions", json=asked).json()
        logprobs: list[float] = body["choices"][0]["logprobs"]["token_logprobs"]
        assert len(logprobs) == body["usage"]["prompt_tokens"] and body["usage"]["completion_tokens"] == 0
        return logprobs[1:]

    pairs = [LESSONS[0], (LESSONS[1][0], LESSONS[0][1]), LESSONS[2]]
    alone = [told(*pair) for pair in pairs]
    with ThreadPoolExecutor(len(pairs)) as clients:
        together = list(clients.map(lambda pair: told(*pair), pairs))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    right, wrong = (sum(one[len(told(question, "")) :]) for one, (question, _) in zip(alone, pairs[:2], strict=False))
    assert right > -1 > wrong + 1


def test_one_flipped_bit_ends_the_start_with_the_files_name(tiny_int4: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_int4, tmp_path / "copy")
    content = bytearray((copy / "model.onnx.data").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.onnx.data").write_bytes(content)
    refused = run_wxruntime("engine", "--backend", "onnx", "--model", copy, "--port", "0")
    assert refused.returncode == 1
    assert "model.onnx.data: is damaged" in refused.stderr and "Traceback" not in refused.stderr
