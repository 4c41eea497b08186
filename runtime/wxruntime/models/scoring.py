"""How likely a model in this process finds texts: the one thing that perplexity and multiple choice are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from wxruntime.models.errors import ModelError
from wxruntime.models.loading import load_model
from wxruntime.models.precision import Precision
from wxruntime.models.quantize import ROUNDED
from wxruntime.models.rounding import round_activations
from wxruntime.models.text import read_tokenizer, windows

BATCH_TOKENS = 8192  # of logits in memory at once: 3.4 GB in float32 with ERNIE's vocabulary, so fewer on a CPU
BATCH_TOKENS_CPU = 2048


@dataclass(frozen=True, slots=True)
class TextScore:
    """loss: the mean of -ln likelihood over all tokens but the first. likeliest: the model's first choice for each.
    right: how many of those were the token that came."""

    loss: float
    right: int
    likeliest: torch.Tensor

    @property
    def tokens(self) -> int:
        return len(self.likeliest)

    @property
    def perplexity(self) -> float:
        return float(torch.tensor(self.loss, dtype=torch.float64).exp())


class Scorer:
    """A loaded checkpoint. With `precision` the inputs of layers are rounded as vLLM's kernels round them."""

    def __init__(self, directory: Path, device: str = "auto", precision: Precision | None = None) -> None:
        self.device = torch.device(pick_device(device))
        dtype = "auto" if self.device.type == "cuda" else torch.float32
        self.model = load_model(directory, dtype).to(self.device)
        self.tokenizer = read_tokenizer(directory)
        self._batch = BATCH_TOKENS if self.device.type == "cuda" else BATCH_TOKENS_CPU
        if precision is not None and precision.activations:
            round_inputs(self.model, precision)

    @torch.inference_mode()
    def score_text(self, ids: Sequence[int], window: int) -> TextScore:
        """Every token but the first, in windows of `window` tokens as text.windows says."""
        loss, right, likeliest = 0.0, 0, []
        for inputs, scored in windows(ids, window, max(1, self._batch // window)):
            tokens = torch.tensor(inputs, device=self.device)
            logits = self.model(input_ids=tokens, use_cache=False, logits_to_keep=scored + 1).logits[:, :-1].float()
            truth = tokens[:, -scored:]
            loss += cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="sum").item()
            choices = logits.argmax(dim=-1)
            right += int((choices == truth).sum())
            likeliest.append(choices.flatten().int().cpu())
        together = torch.cat(likeliest)
        return TextScore(loss / len(together), right, together)

    @torch.inference_mode()
    def likelihoods(self, context: str, continuations: Sequence[str]) -> list[float]:
        """ln likelihood of each continuation after `context`."""
        start = self.tokenizer.encode(context).ids
        rows = [self.tokenizer.encode(context + text).ids for text in continuations]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self.device)
        keep = longest - len(start) + 1
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self.device)
        logits = self.model(input_ids=tokens, attention_mask=mask, use_cache=False, logits_to_keep=keep).logits
        told = logits[:, :-1].float().log_softmax(dim=-1)
        return [
            float(sum(told[number, at - len(start), row[at]] for at in range(len(start), len(row))))
            for number, row in enumerate(rows)
        ]


def round_inputs(model: torch.nn.Module, precision: Precision) -> None:
    """Let every rounded layer see what is left of its inputs. In a mixture of experts the inputs of the experts'
    second product are inside one operation and stay as they are."""

    def hook(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (round_activations(arguments[0], precision), *arguments[1:])

    for name, module in model.named_modules():
        if ROUNDED.fullmatch(f"{name}.weight") or name.endswith(".mlp.experts"):
            module.register_forward_pre_hook(hook)


def pick_device(wanted: str) -> str:
    """cpu or cuda; auto is the GPU where there is one."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("PyTorch sees no CUDA device", fix="use --device cpu")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
