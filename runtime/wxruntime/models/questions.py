"""Multiple-choice questions from CSV files, in the layouts of C-Eval and CMMLU, and how a model answers one.

C-Eval: DIR/val/SUBJECT_val.csv with the columns id, question, A, B, C, D, answer. CMMLU: DIR/test/SUBJECT.csv with
Question, A, B, C, D, Answer. One file of either kind is taken as well, and a column `subject` where it has one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wxruntime.models.errors import ModelError

LETTERS = "ABCD"
SMOKE = Path(__file__).with_name("smoke.zh.csv")
"""Questions written for this project, to see that an evaluation works; they say little about a good model."""


@dataclass(frozen=True, slots=True)
class Question:
    subject: str
    text: str
    options: tuple[str, str, str, str]
    right: str

    def prompt(self) -> str:
        """As C-Eval and CMMLU ask it, without examples."""
        options = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=True))
        return f"以下是单项选择题，请直接给出正确答案的选项。\n\n题目：{self.text}\n{options}\n答案是："


class Likelihoods(Protocol):
    """A model in this process or behind an API."""

    def likelihoods(self, context: str, continuations: Sequence[str]) -> list[float]:
        """ln likelihood of each continuation after `context`."""


def answer(model: Likelihoods, question: Question) -> str:
    """The letter that the model finds likeliest."""
    told = model.likelihoods(question.prompt(), LETTERS)
    return LETTERS[told.index(max(told))]


def read_questions(path: Path) -> list[Question]:
    """Of a file, or of all files in a directory's val/, test/ or itself. Raise ModelError for what is no question."""
    files = [path]
    if path.is_dir():
        folder = next((path / name for name in ("val", "test") if (path / name).is_dir()), path)
        files = sorted(folder.glob("*.csv"))
    found = [question for file in files for question in _of_file(file)]
    if not found:
        raise ModelError("there are no questions", where=path, fix="name a CSV file, or a directory with val/ or test/")
    return found


def _of_file(path: Path) -> Iterator[Question]:
    subject = path.stem.removesuffix("_val").removesuffix("_test").removesuffix("_dev")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield _question(
                    {(key or "").lower(): value for key, value in row.items()}, subject, path, reader.line_num
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"the questions cannot be read: {error}", where=path) from None


def _question(row: dict[str, str | None], subject: str, path: Path, line: int) -> Question:
    needed = {key: row.get(key) or "" for key in ("question", "a", "b", "c", "d")}
    right = (row.get("answer") or "").strip().upper()
    if missing := [key for key, value in needed.items() if not value.strip()]:
        raise ModelError(
            f"there is no {missing[0]}",
            where=f"{path}:{line}",
            fix="the columns are question, A, B, C, D, answer, as in C-Eval and CMMLU",
        )
    if len(right) != 1 or right not in LETTERS:
        raise ModelError(
            f"the answer is {right!r}, not A, B, C or D",
            where=f"{path}:{line}",
            fix="C-Eval publishes no answers of its test split: name val/",
        )
    options = (needed["a"].strip(), needed["b"].strip(), needed["c"].strip(), needed["d"].strip())
    return Question(row.get("subject") or subject, needed["question"].strip(), options, right)
