"""Whether vLLM loads what `wxops model quantize` writes, and answers as we say it does.

    rounded.py DIRECTORY [PRECISION ...]

DIRECTORY is a checkpoint in bf16. For it and for each precision, the same prompts are scored by our scorer, which makes
the report of a quantized model, and by vLLM: perplexity, and how often both find the same token likeliest. The bf16 row
is what two implementations differ by where nothing is rounded.
"""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from points import prompt, tell

PROMPTS, TOKENS = 16, 512
ROUNDED = ("fp8", "int8", "int4")
ANSWER = "ANSWER "


def ours(directory: Path, prompts: list[list[int]]) -> tuple[float, list[list[int]]]:
    """Perplexity, and the likeliest token at each position but the first of each prompt."""
    import torch

    from wxruntime.models.dequantize import precision_in
    from wxruntime.models.scoring import Scorer

    scorer = Scorer(directory, "cuda", precision_in(directory))
    scores = [scorer.score_text(ids, TOKENS) for ids in prompts]
    del scorer
    gc.collect()
    torch.cuda.empty_cache()
    return math.exp(sum(each.loss for each in scores) / len(scores)), [each.likeliest.tolist() for each in scores]


def theirs(directory: str, prompts: list[list[int]]) -> tuple[str, float, list[list[int]]]:
    import vllm

    engine = vllm.LLM(model=directory, skip_tokenizer_init=True, max_model_len=2 * TOKENS, enforce_eager=True,
                      gpu_memory_utilization=0.3, max_num_seqs=PROMPTS, enable_prefix_caching=False)  # fmt: skip
    sampling = vllm.SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1, detokenize=False)
    answers = engine.generate([{"prompt_token_ids": ids} for ids in prompts], sampling, use_tqdm=False)
    loss, likeliest = 0.0, []
    for ids, answer in zip(prompts, answers, strict=True):
        told: list[dict[int, Any]] = answer.prompt_logprobs[1:]
        loss -= sum(found[token].logprob for token, found in zip(ids[1:], told, strict=True))
        likeliest.append([next(token for token, each in found.items() if each.rank == 1) for found in told])
    return vllm.__version__, math.exp(loss / (PROMPTS * (TOKENS - 1))), likeliest


def main(directory: Path, chosen: list[str]) -> None:
    from wxruntime.models.precision import PRECISIONS
    from wxruntime.models.quantize import quantize

    prompts = [prompt(TOKENS) for _ in range(PROMPTS)]
    for name in chosen or ("bf16", *ROUNDED):
        made = directory if name == "bf16" else directory.with_name(f"{directory.name}-{name}")
        if not made.exists():
            quantize(directory, made, PRECISIONS[name], device="cuda")
        perplexity, likeliest = ours(made, prompts)
        asked = json.dumps([str(made), prompts])
        process = subprocess.run([sys.executable, __file__, "--vllm"], input=asked, text=True, stdout=subprocess.PIPE)
        told = [line for line in process.stdout.splitlines() if line.startswith(ANSWER)]
        if not told:  # where it has answered, how its process ends is no matter
            tell("vLLM", "rounded", name, failed=process.returncode)
            continue
        version, their_perplexity, their_likeliest = json.loads(told[0].removeprefix(ANSWER))
        pairs = [pair for rows in zip(likeliest, their_likeliest, strict=True) for pair in zip(*rows, strict=True)]
        same = sum(one == other for one, other in pairs) / len(pairs)
        tell(f"vLLM {version}", "rounded", name, ours=perplexity, theirs=their_perplexity, same=same, tokens=len(pairs))


if __name__ == "__main__":  # vLLM starts this file again in a process of its own
    if sys.argv[1:] == ["--vllm"]:
        print(ANSWER + json.dumps(theirs(*json.load(sys.stdin))), flush=True)
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
