"""What is to be served: `wxops audit --for MODEL --engine ENGINE --precision bf16`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["vllm", "fastdeploy", "transformers"]
Precision = Literal["bf16", "fp16", "fp8", "int8", "int4"]


@dataclass(frozen=True)
class Demand:
    """A model, how it is to be served, and for how much at once.

    model: a name of models.yaml, or a directory with a config.json. context: tokens of one sequence; sequences: how
    many at once; gpus: over how many (None: as few as it fits on).
    """

    model: str
    engine: Engine = "vllm"
    precision: Precision = "bf16"
    context: int = 8192
    sequences: int = 16
    gpus: int | None = None
