"""Opens an exported model as a backend and steps it until its sequences have ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wxruntime.backends.base import Backend, Load, Logprob, Sequence, Step
from wxruntime.backends.onnx import OnnxBackend, load


def open_backend(directory: Path, sequences: int = 4, context: int = 2048, piece: int | None = None) -> OnnxBackend:
    options = Load(
        directory, max_sequences=sequences, context_length=context, threads=1, max_batch_tokens=piece, gather_s=0
    )
    return load(options)


@dataclass
class Answers:
    """What steps of a backend brought, by sequence."""

    tokens: dict[int, list[int]]
    finished: dict[int, str]
    told: dict[int, list[Logprob]] = field(default_factory=dict)  # of prompts

    def take(self, step: Step) -> None:
        for id, token in step.tokens:
            self.tokens.setdefault(id, []).append(token)
        for id, told in step.prompt_logprobs.items():
            self.told.setdefault(id, []).extend(told)
        self.finished.update(step.finished)


def answer(backend: Backend, *sequences: Sequence) -> Answers:
    """Admit them all and step until each has ended."""
    backend.admit(sequences)
    answers = Answers({}, {})
    while len(answers.finished) < len(sequences):
        answers.take(backend.step())
    return answers
