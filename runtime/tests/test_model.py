"""Steps of the real model equal transformers' own generation, in both architectures; the tokenizer loses nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from wxruntime.checkpoint import read_checkpoint
from wxruntime.draws import Sampling, nucleus
from wxruntime.model import PROMPT_PIECE, Ernie
from wxruntime.tiny import Recipe, make_checkpoint


@pytest.fixture(scope="module")
def ernie(tiny: Path) -> Ernie:
    return Ernie(read_checkpoint(tiny), "cpu")


@pytest.fixture(scope="module")
def random_moe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "moe"
    make_checkpoint(directory, Recipe(moe=True, taught=False))
    return directory


def greedy(model: Ernie, prompt: list[int], length: int) -> list[int]:
    steps = model.steps(prompt, Sampling(max_tokens=length, temperature=0))
    return list(itertools.islice((token for token in steps if token is not None), length))


@pytest.mark.parametrize("prompt_length", [1, 30, PROMPT_PIECE, 2 * PROMPT_PIECE + 7])
@pytest.mark.parametrize("architecture", ["dense", "moe"])
def test_greedy_steps_are_transformers_greedy_generation(
    tiny: Path, random_moe: Path, architecture: str, prompt_length: int
) -> None:
    directory = tiny if architecture == "dense" else random_moe
    model = Ernie(read_checkpoint(directory), "cpu")
    prompt = torch.randint(6, 400, (1, prompt_length), generator=torch.Generator().manual_seed(1))
    reference = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    expected = reference.generate(prompt, max_new_tokens=20, min_new_tokens=20, do_sample=False)[0, prompt_length:]
    # min_new_tokens forbids the end token to transformers; ours only reports it, so compare up to the first one.
    ours = itertools.takewhile(lambda token: token != 2, greedy(model, prompt[0].tolist(), 20))
    for position, token in enumerate(ours):
        assert token == expected[position], f"token {position}"


@pytest.mark.parametrize("text", ["你是谁？", "鑫龘𠮷野家 🐼", "Mixed 中文 and English.\n\t二", "从前有座山"])
def test_the_tokenizer_brings_every_text_back(ernie: Ernie, text: str) -> None:
    assert ernie.tokenizer.decode(ernie.encode(text)) == text


def test_a_chat_is_written_in_ernies_template(ernie: Ernie) -> None:
    messages = [
        {"role": "system", "content": "简短回答。"},
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": "再见"},
    ]
    text = ernie.tokenizer.decode(ernie.encode_chat(messages), skip_special_tokens=False)
    assert text == (
        "<|begin_of_sentence|>简短回答。\nUser: 你好\nAssistant: 你好！<|end_of_sentence|>User: 再见\nAssistant: "
    )


def test_the_nucleus_is_the_likeliest_tokens_that_reach_top_p() -> None:
    likelihood = torch.tensor([0.1, 0.5, 0.15, 0.25])
    assert nucleus(likelihood, 0.7).tolist() == pytest.approx([0, 0.5, 0, 0.25])
    assert nucleus(likelihood, 0.01).tolist() == pytest.approx([0, 0.5, 0, 0])
