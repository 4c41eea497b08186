"""What int4 costs on the emergency engine: perplexity and first choices of a small ERNIE 4.5 that was really trained.

    python bench/onnx_loss.py --text DIRECTORY [--seconds 300] [--keep DIRECTORY]

DIRECTORY holds what gpu/prepare_text.py wrote. A model of 3.7 million parameters is trained on the CPU for so many
seconds, exported in both precisions, and each graph reads the same text that was held out, token by token: int4's two
graphs as a step of few tokens and one of many take them. --keep has the model, or gets it.
"""

from __future__ import annotations

import argparse
import lzma
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import stand

from wxruntime.backends import onnx_rows
from wxruntime.backends.machine import cores
from wxruntime.backends.onnx_export import export_onnx
from wxruntime.backends.onnx_rows import Rows

sys.path.insert(0, str(Path(__file__).parent / "gpu"))
from train_small import Plan, encode, save, train, train_tokenizer

PLAN = Plan(2048, 256, 4, 4, 768, 64, 8, 3_000_000, 0)
ROWS, TOKENS = 128, 129  # held-out windows, read beside each other; the first token of each is given
# Name -> precision, and from how many tokens on a step is the batch's.
GRAPHS = {"fp32": ("fp32", 1), "int4, few tokens": ("int4", 1 << 30), "int4, many tokens": ("int4", 1)}


def trained(text: Path, seconds: float, directory: Path) -> None:
    part = lzma.decompress((text / "train.txt.xz").read_bytes()).decode()[: 8 * PLAN.tokenizer_characters]
    tokenizer = train_tokenizer(part[: PLAN.tokenizer_characters], PLAN.vocabulary)
    model, steps, loss = train(PLAN, encode(tokenizer, part), seconds, "cpu")
    print(f"{sum(each.numel() for each in model.parameters()) / 1e6:.1f} M parameters, {steps} steps of ", end="")
    print(f"{PLAN.batch} windows of {PLAN.window} tokens, last loss {loss:.3f}\n")
    save(model, tokenizer, directory)


def held_out(text: Path, directory: Path) -> npt.NDArray[np.int64]:
    """Windows, [ROWS, TOKENS], from all over the text."""
    from tokenizers import Tokenizer

    whole = lzma.decompress((text / "heldout.txt.xz").read_bytes()).decode()
    ids = encode(Tokenizer.from_file(str(directory / "tokenizer.json")), whole).numpy().astype(np.int64)
    starts = np.linspace(0, len(ids) - TOKENS, ROWS).astype(int)
    return np.stack([ids[start : start + TOKENS] for start in starts])


def read(directory: Path, batch_tokens: int, windows: npt.NDArray[np.int64]) -> tuple[float, npt.NDArray[np.int64]]:
    """Mean loss of a token, and what the model would have chosen in each place."""
    onnx_rows.BATCH_TOKENS = batch_tokens
    rows = Rows(directory, cores())
    rows.reserve(ROWS, TOKENS)
    losses, chosen = [], []
    for at in range(TOKENS - 1):
        logits = rows.forward(0, windows[:, at : at + 1].tolist(), [at + 1] * ROWS).astype(np.float64)
        highest = logits.max(axis=1)
        total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        losses.append(total - logits[np.arange(ROWS), windows[:, at + 1]])
        chosen.append(logits.argmax(axis=1))
    return float(np.mean(losses)), np.stack(chosen, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300.0, help="Of training.")
    parser.add_argument("--keep", type=Path, help="The model, with its exports.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        print(stand.header() + "\n")
        if not (folder / "bf16").exists():
            trained(given.text, given.seconds, folder / "bf16")
        for precision in ("fp32", "int4"):
            if not (folder / precision).exists():
                export_onnx(folder / "bf16", folder / precision, precision)  # type: ignore[arg-type]
        windows = held_out(given.text, folder / "bf16")
        print(f"{windows[:, 1:].size:,} tokens held out\n")
        print("| | perplexity | rise | guessed right | same first choice as fp32 |\n|---|---|---|---|---|")
        before: tuple[float, npt.NDArray[np.int64]] | None = None
        for name, (precision, batch_tokens) in GRAPHS.items():
            loss, chosen = read(folder / precision, batch_tokens, windows)
            before = before or (loss, chosen)
            right, same = (chosen == windows[:, 1:]).mean(), (chosen == before[1]).mean()
            rise = np.exp(loss - before[0]) - 1
            print(f"| {name} | {np.exp(loss):.2f} | {rise:+.2%} | {right:.2%} | {same:.2%} |", flush=True)


if __name__ == "__main__":
    main()
