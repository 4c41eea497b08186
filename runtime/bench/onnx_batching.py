"""What a batch gains on the emergency engine: tokens per second of an int4 model in 0.3B's shape, alone and together.

    python runtime/bench/onnx_batching.py [DIRECTORY...]

steps the backend itself, without a server. A DIRECTORY has an exported model, or gets one with random weights: speed
does not depend on them. Several take turns, so that what else the machine does meets all alike; medians of ROUNDS.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from wxruntime.backends.base import Backend, Load
from wxruntime.backends.base import Sequence as Prompt
from wxruntime.backends.onnx import load
from wxruntime.backends.onnx_export import Precision, export_onnx
from wxruntime.sampling import Sampling

PROMPT_TOKENS, NEW_TOKENS = 32, 32
CONCURRENT = (1, 4, 16)
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """concurrent: answers at once. decode: tokens per second once all prompts are read; whole: with reading them."""

    concurrent: int
    decode: float
    whole: float


def measure(backend: Backend, count: int) -> Rate:
    """`count` prompts that come at once, each answered with NEW_TOKENS tokens."""
    started = time.perf_counter()
    sampling = Sampling(max_tokens=NEW_TOKENS, temperature=0)
    backend.admit([Prompt(id, [7 + id] * PROMPT_TOKENS, sampling) for id in range(count)])
    answering, finished, made, decoded, decode_s = set[int](), 0, 0, 0, 0.0
    while finished < count:
        before, all_read = time.perf_counter(), len(answering) == count
        step = backend.step()
        answering.update(id for id, _ in step.tokens)
        made, finished = made + len(step.tokens), finished + len(step.finished)
        if all_read:
            decoded, decode_s = decoded + len(step.tokens), decode_s + time.perf_counter() - before
    return Rate(count, decoded / decode_s, made / (time.perf_counter() - started))


def middle(rates: Sequence[Rate]) -> Rate:
    """Of runs of one kind."""
    decode, whole = median(rate.decode for rate in rates), median(rate.whole for rate in rates)
    return Rate(rates[0].concurrent, decode, whole)


def random_model(directory: Path, precision: Precision = "int4") -> None:
    """ERNIE-4.5-0.3B's exact shape with random weights, exported to `directory`."""
    import torch
    from transformers import Ernie4_5Config, Ernie4_5ForCausalLM

    from wxruntime.tiny import Recipe, make_checkpoint

    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent) as unfinished:
        checkpoint, tiny = Path(unfinished, "random-0.3b"), Path(unfinished, "tiny")
        make_checkpoint(tiny, Recipe(taught=False))
        torch.manual_seed(0)
        Ernie4_5ForCausalLM(Ernie4_5Config()).to(torch.bfloat16).save_pretrained(checkpoint)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
            shutil.copyfile(tiny / name, checkpoint / name)
        export_onnx(checkpoint, directory, precision)


def main() -> None:
    directories = [Path(each) for each in sys.argv[1:] or ["/tmp/ernie-0.3b-int4"]]
    for directory in directories:
        if not directory.exists():
            random_model(directory)
    options = [Load(directory, context_length=PROMPT_TOKENS + NEW_TOKENS) for directory in directories]
    backends = [load(each) for each in options]
    for backend in backends:
        measure(backend, 1)
    runs = [[[measure(backend, count) for backend in backends] for count in CONCURRENT] for _ in range(ROUNDS)]
    print(f"{PROMPT_TOKENS} tokens read and {NEW_TOKENS} made by each; tokens made per second, medians of {ROUNDS}\n")
    print("| | concurrent | decode | × alone | whole | × alone |\n|---|---|---|---|---|---|")
    for at, directory in enumerate(directories):
        rates = [middle([each[place][at] for each in runs]) for place in range(len(CONCURRENT))]
        for rate in rates:
            decode, whole = rate.decode / rates[0].decode, rate.whole / rates[0].whole
            cells = f"{rate.concurrent} | {rate.decode:.1f} | {decode:.1f} | {rate.whole:.1f} | {whole:.1f}"
            print(f"| {directory.name} | {cells} |")


if __name__ == "__main__":
    main()
