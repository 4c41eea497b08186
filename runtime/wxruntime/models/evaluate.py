"""What a model is worth: right answers by subject, and perplexity; kept in wxops-eval.json beside the manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wxruntime.models.manifest import EVALUATION, manifest_digest, now, write_whole
from wxruntime.models.questions import Likelihoods, Question, answer


@dataclass(frozen=True, slots=True)
class Choice:
    """Of one set of questions. subjects: name -> (asked, right)."""

    questions: str
    subjects: dict[str, tuple[int, int]]

    @property
    def asked(self) -> int:
        return sum(asked for asked, _ in self.subjects.values())

    @property
    def right(self) -> int:
        return sum(right for _, right in self.subjects.values())

    @property
    def accuracy(self) -> float:
        return self.right / self.asked

    @property
    def error(self) -> float:
        """Standard error of the accuracy: how far chance alone would move it."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.asked)


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    tokens: int
    perplexity: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """how: where the model ran. manifest: SHA-256 of the manifest of what was evaluated, empty where unknown."""

    how: str
    evaluated: str
    manifest: str
    choices: tuple[Choice, ...] = ()
    text: Text | None = None

    def to_json(self) -> dict[str, Any]:
        choices = [
            {
                "questions": each.questions,
                "asked": each.asked,
                "right": each.right,
                "accuracy": each.accuracy,
                "standard_error": each.error,
                "subjects": {name: {"asked": asked, "right": right} for name, (asked, right) in each.subjects.items()},
            }
            for each in self.choices
        ]
        return asdict(self) | {"choices": choices}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"evaluated {self.how}"
        for each in self.choices:
            right = f"{each.right} of {each.asked} right"
            yield f"  {each.questions}: {right}, {each.accuracy:.1%} ± {each.error:.1%} (chance is 25 %)"
            for name, (asked, right_here) in each.subjects.items():
                yield f"    {name}: {right_here} of {asked}"
        if self.text:
            yield f"  {self.text.text}: perplexity {self.text.perplexity:.3f} over {self.text.tokens} tokens"


def ask(model: Likelihoods, name: str, questions: Sequence[Question]) -> Choice:
    """Put all questions to a model."""
    subjects: dict[str, tuple[int, int]] = {}
    for question in questions:
        asked, right = subjects.get(question.subject, (0, 0))
        subjects[question.subject] = (asked + 1, right + (answer(model, question) == question.right))
    return Choice(name, subjects)


def evaluation(how: str, directory: Path | None, choices: Sequence[Choice], text: Text | None) -> Evaluation:
    return Evaluation(how, now(), manifest_digest(directory) if directory else "", tuple(choices), text)


def keep(directory: Path, result: Evaluation) -> Path:
    """Write it beside the manifest, which does not list it: it may come at any time."""
    path = directory / EVALUATION
    write_whole(path, (json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
    return path
