"""What rounding a model cost and saved, held against the guide's limits: half the size, under 2 % loss.

The report is the file wxops-quantize.json beside the manifest. What was not measured has no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

REPORT = "wxops-quantize.json"
LARGEST_SIZE = 0.51  # of the original's: half, and a hundredth for the scales beside each row
LARGEST_LOSS = 0.02


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes, before and after. rounded: of the weights that were rounded, with their scales; files: of all weights."""

    rounded_before: int
    rounded_after: int
    files_before: int
    files_after: int


@dataclass(frozen=True, slots=True)
class TextLoss:
    """On a text. guessed: the part of tokens that were a model's first choice. agreement: the part of tokens for which
    both models have the same first choice; it has no limit, as two runs of one model differ in close calls, too."""

    text: str
    tokens: int
    window: int
    perplexity_before: float
    perplexity_after: float
    guessed_before: float
    guessed_after: float
    agreement: float

    @property
    def rise(self) -> float:
        return self.perplexity_after / self.perplexity_before - 1

    @property
    def drop(self) -> float:
        return 1 - self.guessed_after / self.guessed_before


@dataclass(frozen=True, slots=True)
class ChoiceLoss:
    """On questions with four answers: how many each model had right."""

    questions: str
    asked: int
    right_before: int
    right_after: int

    @property
    def drop(self) -> float:
        """Of all questions, in absolute parts: 0.75 -> 0.74 is 0.01."""
        return (self.right_before - self.right_after) / self.asked


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed is None where nothing was measured."""

    limit: str
    value: float | None
    largest: float
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    name: str
    source: str
    precision: str
    method: str
    sizes: Sizes
    text: TextLoss | None = None
    choice: ChoiceLoss | None = None

    def verdicts(self) -> list[Verdict]:
        sizes = self.sizes
        measured = [
            ("size of the rounded weights", sizes.rounded_after / sizes.rounded_before, LARGEST_SIZE),
            ("size of all weights", sizes.files_after / sizes.files_before, LARGEST_SIZE),
            ("rise of perplexity", self.text.rise if self.text else None, LARGEST_LOSS),
            ("tokens guessed right, lost", self.text.drop if self.text else None, LARGEST_LOSS),
            ("right answers lost", self.choice.drop if self.choice else None, LARGEST_LOSS),
        ]
        return [
            Verdict(limit, value, largest, None if value is None else value <= largest)
            for limit, value, largest in measured
        ]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdicts": [asdict(verdict) for verdict in self.verdicts()]}

    def lines(self) -> Iterator[str]:
        """For people."""
        sizes = self.sizes
        yield f"{self.name}: {self.source} in {self.precision}, {self.method}"
        yield f"  weights rounded   {_mib(sizes.rounded_before)} -> {_mib(sizes.rounded_after)}"
        yield f"  all weights       {_mib(sizes.files_before)} -> {_mib(sizes.files_after)}"
        if self.text:
            text = self.text
            change = f"{text.perplexity_before:.3f} -> {text.perplexity_after:.3f}"
            yield f"  perplexity        {change}, {text.tokens} tokens of {text.text}"
            guessed = f"{text.guessed_before:.2%} -> {text.guessed_after:.2%}, agreement {text.agreement:.2%}"
            yield f"  tokens guessed    {guessed}"
        if self.choice:
            choice = self.choice
            answers = f"{choice.right_before} -> {choice.right_after} of {choice.asked}"
            yield f"  right answers     {answers}, {choice.questions}"
        for verdict in self.verdicts():
            word = {True: "pass", False: "FAIL", None: "not measured"}[verdict.passed]
            value = "" if verdict.value is None else f"{verdict.value:7.2%} of at most {verdict.largest:.0%}"
            yield f"  {word:12} {verdict.limit:28} {value}".rstrip()


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
