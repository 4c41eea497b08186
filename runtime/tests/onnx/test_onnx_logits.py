"""An exported model reckons as transformers does, whatever else is in its batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, Ernie4_5ForCausalLM

from wxruntime.backends.onnx_rows import Floats, Rows

TOLERANCE = 1e-3  # the bound, for float32
PROMPTS = (3, 11, 7, 1)


class Reference:
    """transformers' logits after each of some tokens."""

    def __init__(self, directory: Path) -> None:
        self._model: Ernie4_5ForCausalLM = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)

    @torch.inference_mode()
    def __call__(self, tokens: list[int]) -> Floats:
        logits: Floats = self._model(torch.tensor([tokens])).logits[0].numpy()
        return logits


@pytest.fixture(scope="module", params=["tiny", "odd"])
def pair(request: pytest.FixtureRequest) -> tuple[Rows, Reference]:
    rows = Rows(request.getfixturevalue(f"{request.param}_fp32"), threads=1)
    rows.reserve(len(PROMPTS), 1600)
    return rows, Reference(request.getfixturevalue(request.param))


def some_tokens(count: int, seed: int = 0) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(6, 420, count)]


def test_a_batch_of_prompts_and_its_next_tokens_have_transformers_logits(pair: tuple[Rows, Reference]) -> None:
    rows, reference = pair
    texts = [some_tokens(length, seed) for seed, length in enumerate(PROMPTS)]
    logits = rows.forward(0, texts, list(PROMPTS))
    for step in range(4):
        expected = [reference(text)[-1] for text in texts]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE, err_msg=f"step {step}")
        assert np.ptp(expected) > 1, "logits so small would agree whatever is reckoned"
        following = some_tokens(len(texts), seed=100 + step)
        texts = [[*text, token] for text, token in zip(texts, following, strict=True)]
        logits = rows.forward(0, [[token] for token in following], [len(text) for text in texts])


def test_a_long_prompt_read_in_pieces_has_transformers_logits(pair: tuple[Rows, Reference]) -> None:
    rows, reference = pair
    text = some_tokens(1500)
    for start in range(0, 1500, 400):
        piece = text[start : start + 400]
        logits = rows.forward(2, [piece], [start + len(piece)])
    np.testing.assert_allclose(logits[0], reference(text)[-1], rtol=0, atol=TOLERANCE)


def test_a_row_that_was_copied_goes_on_as_before(pair: tuple[Rows, Reference]) -> None:
    rows, reference = pair
    text = some_tokens(20)
    rows.forward(3, [text[:19]], [19])
    rows.copy(3, 1, 19)
    rows.forward(3, [some_tokens(30, seed=9)], [30])
    np.testing.assert_allclose(rows.forward(1, [text[19:]], [20])[0], reference(text)[-1], rtol=0, atol=TOLERANCE)
