"""What the engine asks of a backend: sequences are admitted, stepped together, and dropped.

The engine has one thread for its backend. It loads it, proves it, and then repeats: drop() what was cancelled, admit()
what has come, step(). So a backend needs no thread and no lock, an answer ends within one step of its cancellation, and
all tokens of a step leave the thread together.

This module is imported by processes that have neither PyTorch nor ONNX Runtime: it imports neither.
"""

from __future__ import annotations

from collections.abc import Sequence as List
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from wxruntime.sampling import Sampling

# Why a backend ends a sequence by itself: a stop token was drawn (it is the last token told), or max_tokens are made.
Ending = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Load:
    """How a backend is to be loaded. What is None the backend decides from the model and the machine.

    model:          the checkpoint directory.
    context_length: most tokens of a prompt and its answer, at most the checkpoint's own (vLLM: max_model_len).
    max_sequences:  most sequences in a step (vLLM: max_num_seqs).
    max_batch_tokens: most tokens in a step; longer prompts are read in pieces (vLLM: max_num_batched_tokens).
    kv_tokens:      tokens for which there is room in the KV cache.
    memory_fraction: share of the GPU's memory for weights and KV cache, where kv_tokens is None.
    threads:        CPU threads of the ONNX backend.
    gather_s:       the backend's gather_s, see below.
    """

    model: Path
    device: str = "auto"
    dtype: str = "auto"
    context_length: int | None = None
    max_sequences: int | None = None
    max_batch_tokens: int | None = None
    kv_tokens: int | None = None
    memory_fraction: float = 0.9
    prefix_caching: bool = True
    compile: bool = True
    threads: int | None = None
    gather_s: float | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """One prompt to be continued. `id` is the engine's and never comes twice."""

    id: int
    prompt: List[int]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Logprob:
    """Natural logarithms of likelihood, of the model's own distribution (before temperature and top_p).

    chosen: that of the token which was drawn, or which the prompt has. top: the likeliest tokens with theirs, as many
    as were asked for.
    """

    chosen: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class Step:
    """What one step of the model brought.

    started:  ids whose prompt was begun in this step, each with the prompt tokens that the prefix cache had already.
    tokens:   id and token, in the order drawn. A stop token is among them.
    logprobs: for the tokens at these indices of `tokens`, where the sequence asks for it.
    prompt_logprobs: by id, for the next tokens of prompts whose sequences ask for it. The first token of a prompt has
              none; all others are told, each once, by the step that brings the sequence's first token.
    finished: ids that ended, and why; they hold no memory any more.
    processed: tokens that went through the model, of prompts and of answers.
    """

    started: list[tuple[int, int]] = field(default_factory=list)
    tokens: list[tuple[int, int]] = field(default_factory=list)
    logprobs: dict[int, Logprob] = field(default_factory=dict)
    prompt_logprobs: dict[int, list[Logprob]] = field(default_factory=dict)
    finished: list[tuple[int, Ending]] = field(default_factory=list)
    processed: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a backend is. prefix_queries and prefix_hits count prompt tokens since the start, as vLLM's do."""

    kv_used: float = 0.0
    prefix_queries: int = 0
    prefix_hits: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a loaded backend can hold: tokens of one sequence, sequences in one step, tokens in the KV cache."""

    context_length: int
    max_sequences: int
    kv_tokens: int


class Backend(Protocol):
    """A loaded model. All methods are called by one thread, the one that loaded it.

    gather_s: when a sequence comes to an idle backend, the engine waits this long for others to share its batch, or
    until limits.max_sequences are there. 0 where sequences may join a batch at any step.
    """

    limits: Limits
    gather_s: float

    def prove(self) -> None:
        """Run the model once, with no sequence admitted; raises when it fails or gives what is not a number."""

    def admit(self, sequences: List[Sequence]) -> None:
        """Take them in, in this order; they run when there is room. prompt + max_tokens fit limits.context_length."""

    def drop(self, ids: List[int]) -> None:
        """Forget these sequences, waiting or running, and free what they hold. Unknown ids are ignored."""

    def step(self) -> Step:
        """One step of the model over the sequences that run; called as long as some are not finished or dropped."""

    def usage(self) -> Usage:
        """Cheap: it is asked after every step."""

    def reset(self) -> None:
        """After a step that raised: forget all sequences and be as after load(), or raise."""

    def close(self) -> None:
        """Give back what would outlive the process."""
