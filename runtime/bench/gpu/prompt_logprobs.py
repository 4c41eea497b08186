"""Whether a prompt's own logprobs are those of a plain forward pass: `prompt_logprobs.py MODEL DIRECTORY [DEVICE]`.

MODEL is s or m, or `mixture`, a small one with random experts, which is made there and asked of transformers alone.
Each backend is asked for prompts that its graphs read, that they are too long for, and that are read in pieces, all at
once and beside others that are answered. The yardstick is transformers' forward pass in float32; the same in 16 bits
says how far 16 bits alone are off. A backend may be twice as far off on the average, and a margin: a token told for
another is off by hundreds of times that. Ends with 1 where one is not.
"""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path

import torch
from points import CHECK, tell
from transformers import AutoConfig, AutoModelForCausalLM

from wxruntime import backends
from wxruntime.backends.base import Load, Logprob, Sequence
from wxruntime.backends.paged import FAMILY
from wxruntime.sampling import Sampling
from wxruntime.tiny import Recipe, make_checkpoint

LENGTHS = (1, 2, 17, 64, 300, 1024, 1025, 3000)
CONTEXT = 4096
ROWS = 256  # of logits at once
TIMES, MARGIN = 2.0, 2e-3
TOLD = Sampling(max_tokens=4, temperature=0, prompt_logprobs=3)


def plain(directory: Path, dtype: torch.dtype, prompts: list[list[int]], device: str) -> list[torch.Tensor]:
    """Of each prompt's tokens but the first, in float32 on the CPU."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="sdpa").to(device).eval()
    found = []
    with torch.inference_mode():
        for prompt in prompts:
            ids = torch.tensor([prompt], device=device)
            hidden = model.model(ids, use_cache=False).last_hidden_state[0, :-1]
            pieces = [
                model.lm_head(hidden[at : at + ROWS]).float().log_softmax(-1) for at in range(0, len(hidden), ROWS)
            ]
            truth = ids[0, 1:, None].split(ROWS)
            told = [piece.gather(1, some)[:, 0].cpu() for piece, some in zip(pieces, truth, strict=False)]
            found.append(torch.cat(told) if told else torch.zeros(0))
            del pieces
    return found


def served(name: str, directory: Path, prompts: list[list[int]], device: str) -> list[list[Logprob]]:
    """By a backend: all at once, each twice in a row, with the first time's tokens in its prefix cache."""
    dtype = "float32" if device == "cpu" else "bfloat16"
    options = Load(directory, device=device, dtype=dtype, context_length=CONTEXT, kv_tokens=16 * CONTEXT,
                   max_sequences=32, max_batch_tokens=2048)  # fmt: skip
    backend = backends.load(name, options)
    backend.prove()
    for turn in range(2):
        asked = [Sequence(100 * turn + at, prompt, TOLD) for at, prompt in enumerate(prompts)]
        others = [Sequence(1000 + 100 * turn + at, [9 + at] * 40, Sampling(64, temperature=0)) for at in range(8)]
        told: dict[int, list[Logprob]] = {each.id: [] for each in asked}
        backend.admit([*others[:4], *asked, *others[4:]])
        left = {each.id for each in [*asked, *others]}
        while left:
            step = backend.step()
            for id_, logprobs in step.prompt_logprobs.items():
                told[id_] += logprobs
            left -= {id_ for id_, _ in step.finished}
    assert backend.usage().kv_used == 0, "a block is left behind"
    backend.close()
    return [told[each.id] for each in asked]


def main(model: str, directory: Path, device: str) -> int:
    if model == "mixture" and not directory.exists():
        make_checkpoint(directory, Recipe(moe=True, taught=False))
    config = AutoConfig.from_pretrained(directory)
    chance = torch.Generator().manual_seed(5)
    prompts = [torch.randint(6, config.vocab_size, (length,), generator=chance).tolist() for length in LENGTHS]
    truth = torch.cat(plain(directory, torch.float32, prompts, device))
    off = (torch.cat(plain(directory, torch.bfloat16, prompts, device)) - truth).abs()
    tell("transformers plain", f"{model} bf16", CHECK, mean=off.mean().item(), most=off.max().item())
    allowed = TIMES * off.mean().item() + MARGIN
    failed = 0
    for name in ("paged", "transformers") if config.model_type == FAMILY else ("transformers",):
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
        told = served(name, directory, prompts, device)
        assert [len(each) for each in told] == [length - 1 for length in LENGTHS], "a token was not told, or twice"
        error = (torch.tensor([each.chosen for some in told for each in some]) - truth).abs()
        fine = error.mean().item() <= allowed
        failed += not fine
        figures = {"mean": error.mean().item(), "most": error.max().item(), "allowed": allowed}
        tell(name, f"{model} bf16", CHECK, **figures, verdict="as plain" if fine else "WRONG")
    return 1 if failed else 0


logging.basicConfig(level=logging.INFO, stream=sys.stderr)
sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "cuda"))
