"""What FP8, INT8 and INT4 cost a small ERNIE 4.5 that was really trained: sizes, perplexity, first choices.

    PYTHONPATH=runtime python3 runtime/bench/gpu/train_small.py --text DIRECTORY [--out DIRECTORY] [--seconds 50]

DIRECTORY holds what prepare_text.py wrote. A model of 88 million parameters with a tokenizer of its own is trained in
bf16 for so many seconds, saved, quantized in each way that `wxops model quantize` has, and every version is measured on
text that was held out. One table is printed; --out keeps it with the report of each version. --smoke is a tiny model
for a CPU. Needs torch, transformers, tokenizers, safetensors and nothing else.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM, PreTrainedTokenizerFast

from wxruntime.models.calibrate import Calibrated
from wxruntime.models.loss import Sample, compare, measure
from wxruntime.models.manifest import describe, write_manifest
from wxruntime.models.precision import PRECISIONS
from wxruntime.models.quantize import Rounder, pick_group, quantize
from wxruntime.models.report import REPORT, Report
from wxruntime.models.rounding import round_weight

SPECIAL = ["<unk>", "<s>", "</s>", "<|begin_of_sentence|>", "<|end_of_sentence|>", "<mask:1>"]
SHORT_CHINESE = Regex(r"[\u4e00-\u9fff]{1,4}")
PEAK_RATE = 1e-3
WARM_UP, COOL_DOWN = 0.05, 0.3  # of the time: the rate rises, and at the end it falls to nothing


@dataclass(frozen=True)
class Plan:
    """Shape of the model and of a step."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    window: int
    batch: int
    tokenizer_characters: int
    measured_tokens: int


WHOLE = Plan(16384, 768, 12, 12, 2048, 512, 64, 8_000_000, 200_000)
SMOKE = Plan(1024, 128, 2, 4, 256, 128, 8, 200_000, 4_000)


def train_tokenizer(text: str, vocabulary: int) -> Tokenizer:
    """A byte-level BPE, as wxruntime's tiny model has; runs of Chinese are cut so that phrases do not become tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(SHORT_CHINESE, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> torch.Tensor:
    """All of it, document after document, in one row."""
    documents = tokenizer.encode_batch(text.split("\n\n"), add_special_tokens=False)
    return torch.tensor([token for each in documents for token in [*each.ids, 2]], dtype=torch.int32)


def batches(ids: torch.Tensor, plan: Plan, device: str) -> Iterator[torch.Tensor]:
    """Random windows, without end."""
    generator = torch.Generator().manual_seed(0)
    offsets = torch.arange(plan.window)
    while True:
        starts = torch.randint(0, len(ids) - plan.window, (plan.batch, 1), generator=generator)
        yield ids[starts + offsets].long().to(device, non_blocking=True)


def train(plan: Plan, ids: torch.Tensor, seconds: float, device: str) -> tuple[Ernie4_5ForCausalLM, int, float]:
    """The model, steps made, and the mean loss of the last ones."""
    torch.manual_seed(0)
    config = Ernie4_5Config(
        vocab_size=plan.vocabulary,
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=max(2, plan.heads // 3),
        head_dim=plan.hidden // plan.heads,
        intermediate_size=plan.intermediate,
        max_position_embeddings=4096,
        attn_implementation="sdpa",
    )
    model = Ernie4_5ForCausalLM(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    started, steps, losses = time.monotonic(), 0, []
    for tokens in batches(ids, plan, device):
        part = (time.monotonic() - started) / seconds
        if part >= 1:
            break
        for settings in optimizer.param_groups:
            settings["lr"] = PEAK_RATE * min(1.0, part / WARM_UP, (1 - part) / COOL_DOWN)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        steps += 1
    return model.eval(), steps, float(torch.stack(losses[-20:]).mean())


def save(model: Ernie4_5ForCausalLM, tokenizer: Tokenizer, directory: Path) -> None:
    model.to(torch.bfloat16).save_pretrained(directory)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=SPECIAL[0], bos_token=SPECIAL[1], eos_token=SPECIAL[2]
    )
    fast.save_pretrained(directory)
    write_manifest(directory, describe(directory, directory.name))


def versions(source: Path, calibration: Path) -> Iterator[tuple[str, str, Rounder | None]]:
    """Label, precision, and how weights are rounded: 8 bits as `quantize` does it; 4 bits also by the largest weight
    alone, which is what the search and GPTQ are held against."""
    for name, precision in PRECISIONS.items():
        group = pick_group(source, precision)
        if name == "int4":
            yield "int4 plain", name, lambda _, weight, p=precision, g=group: round_weight(weight, p, g, search=False)
        yield f"{name} searched", name, None
        if name == "int4":
            yield "int4 GPTQ", name, Calibrated(source, calibration, precision, group)


def row(label: str, report: Report | None, perplexity: float, guessed: float, size: int) -> str:
    if report is None or report.text is None:
        return f"| {label} | {size / 2**20:.1f} | | | {perplexity:.3f} | | {guessed:.2%} | | |"
    sizes, text = report.sizes, report.text
    missed = [verdict.limit for verdict in report.verdicts() if verdict.passed is False]
    return (
        f"| {label} | {size / 2**20:.1f} | {sizes.files_after / sizes.files_before:.3f} "
        f"| {sizes.rounded_after / sizes.rounded_before:.3f} | {text.perplexity_after:.3f} | {text.rise:+.2%} "
        f"| {text.guessed_after:.2%} | {text.agreement:.2%} | {'misses ' + ', '.join(missed) if missed else 'within'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text", type=Path, default=Path(__file__).with_name("text"))
    parser.add_argument("--out", type=Path, help="Keep the table and the reports here.")
    parser.add_argument("--seconds", type=float, default=50.0, help="Of training.")
    parser.add_argument("--smoke", action="store_true", help="A tiny model, for a CPU.")
    given = parser.parse_args()
    plan, device = (SMOKE, "cpu") if given.smoke else (WHOLE, "cuda")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        lines = list(table(plan, device, given.text, given.seconds, Path(scratch), given.out))
    lines.append(f"\nThe whole took {time.monotonic() - begun:.0f} s.")
    print("\n".join(lines))
    if given.out:
        (given.out / "train_small.md").write_text("\n".join(lines) + "\n")


def table(plan: Plan, device: str, text: Path, seconds: float, scratch: Path, out: Path | None) -> Iterator[str]:
    for part in ("train", "heldout"):
        (scratch / f"{part}.txt").write_bytes(lzma.decompress((text / f"{part}.txt.xz").read_bytes()))
    begun = time.monotonic()
    train_text = (scratch / "train.txt").read_text()
    tokenizer = train_tokenizer(train_text[: plan.tokenizer_characters], plan.vocabulary)
    ids = encode(tokenizer, train_text if device == "cuda" else train_text[: plan.tokenizer_characters])
    prepared = time.monotonic() - begun
    model, steps, loss = train(plan, ids, seconds, device)
    size = sum(each.numel() for each in model.parameters()) / 1e6
    seen = steps * plan.batch * plan.window / 1e6
    save(model, tokenizer, scratch / "bf16")
    del model
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    yield f"{where}, torch {torch.__version__}: ERNIE 4.5 of {size:.1f} M parameters, trained {seconds:.0f} s in bf16,"
    read = f"{len(ids) / 1e6:.1f} M tokens of text ({prepared:.0f} s to read)"
    yield f"{steps} steps, {seen:.1f} M tokens seen, {read}, last loss {loss:.3f}."
    sample = Sample(text=scratch / "heldout.txt", window=plan.window, most_tokens=plan.measured_tokens)
    before = measure(scratch / "bf16", sample)
    assert before.text is not None
    yield f"Perplexity of {before.text.tokens} tokens held out, windows of {plan.window}; activations as served.\n"
    yield "| | weights, MiB | of bf16 | rounded ones | perplexity | rise | guessed right | agreement | limits |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    whole = sum(file.stat().st_size for file in (scratch / "bf16").glob("*.safetensors"))
    yield row("bf16", None, before.text.perplexity, before.text.right / before.text.tokens, whole)
    for label, name, rounder in versions(scratch / "bf16", scratch / "train.txt"):
        target = scratch / label.replace(" ", "-")
        sizes = quantize(scratch / "bf16", target, PRECISIONS[name], device=device, rounder=rounder)
        lost, _ = compare(before, measure(target, sample), sample)
        report = Report(target.name, "bf16", name, label, sizes, lost)
        yield row(label, report, 0, 0, sizes.files_after)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{target.name}.{REPORT}").write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False))
        shutil.rmtree(target)


if __name__ == "__main__":
    main()
