"""What rounding cost: the original and the rounded model over the same text and questions, one after the other."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wxruntime.models.dequantize import precision_in
from wxruntime.models.questions import Question, answer
from wxruntime.models.report import ChoiceLoss, TextLoss
from wxruntime.models.scoring import Scorer, TextScore
from wxruntime.models.text import WINDOW, read_ids, read_tokenizer

MOST_TOKENS = 100_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What models are held against each other on."""

    text: Path | None = None
    questions: Sequence[Question] = ()
    questions_name: str = ""
    window: int = WINDOW
    most_tokens: int = MOST_TOKENS


@dataclass(frozen=True, slots=True)
class Measured:
    text: TextScore | None
    right: int


def measure(directory: Path, sample: Sample, device: str = "auto") -> Measured:
    """One model at a time is in memory; inputs of layers are rounded where its kernels would round them."""
    scorer = Scorer(directory, device, precision_in(directory))
    ids = read_ids(sample.text, read_tokenizer(directory), sample.most_tokens) if sample.text else []
    text = scorer.score_text(ids, sample.window) if ids else None
    right = sum(answer(scorer, question) == question.right for question in sample.questions)
    del scorer
    gc.collect()  # a model has cycles, and the next one needs its memory
    return Measured(text, right)


def compare(before: Measured, after: Measured, sample: Sample) -> tuple[TextLoss | None, ChoiceLoss | None]:
    text = None
    if before.text and after.text and sample.text:
        text = TextLoss(
            text=sample.text.name,
            tokens=before.text.tokens,
            window=sample.window,
            perplexity_before=before.text.perplexity,
            perplexity_after=after.text.perplexity,
            guessed_before=before.text.right / before.text.tokens,
            guessed_after=after.text.right / after.text.tokens,
            agreement=float((before.text.likeliest == after.text.likeliest).double().mean()),
        )
    asked = len(sample.questions)
    choice = ChoiceLoss(sample.questions_name, asked, before.right, after.right) if asked else None
    return text, choice
