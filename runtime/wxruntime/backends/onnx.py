"""The emergency engine: an exported ERNIE 4.5 on a CPU, in ONNX Runtime, with a batch that rows join and leave.

Tried first: onnxruntime-genai's own Generator (0.18). It pads a batch's prompts and gives right tokens, but one set of
search options holds for all its sequences (temperature, top_p, seed), a batch runs until its last sequence has ended,
none can be dropped or join on the way, and its Engine, which could, is for CUDA. The graph of the same builder has none
of these limits, so this is plain ONNX Runtime, and the image needs neither onnxruntime-genai nor PyTorch.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable
from collections.abc import Sequence as List
from dataclasses import dataclass

import numpy as np

from wxruntime.backends.base import Ending, Limits, Load, Sequence, Step, Usage
from wxruntime.backends.machine import cores, free_memory
from wxruntime.backends.onnx_draw import Floats, draw, logprob
from wxruntime.backends.onnx_rows import BATCH_TOKENS, Rows
from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.models.verify import Check, Trust

log = logging.getLogger("wxruntime")

# What an emergency needs where nobody said: each row reserves its whole context, 300 MB at 0.3B's shape.
MAX_SEQUENCES = 16
CONTEXT_LENGTH = 8192
# Share of the memory that is free at start for keys and values, where nobody said how many tokens.
KV_SHARE = 0.5
# Prompt tokens in one step, where nobody said: a longer prompt is read in pieces. Beside sequences that answer they are
# small, since those wait meanwhile; where none does, a burst of prompts is read, and then answered, together.
PROMPT_TOKENS = 512
PROMPT_TOKENS_BESIDE = 128
GATHER_S = 0.005
# Prompts of one bucket are read together. A bucket's longest is at most this much longer than its shortest.
BUCKET_RATIO = 1.25
FIRST_BUCKET = 16

GIB = 2**30


@dataclass(slots=True)
class _Row:
    """A sequence and how far it is: `length` of its tokens are in the cache, `made` were drawn, `last` comes next."""

    sequence: Sequence
    length: int = 0
    made: int = 0
    last: int = 0

    @property
    def id(self) -> int:
        return self.sequence.id

    @property
    def unread(self) -> List[int]:
        return self.sequence.prompt[self.length :]

    @property
    def scored(self) -> bool:
        """Whether the tokens of its prompt are told. It is read a token a step, beside those that answer: a run gives
        the logits of each row's last token alone (onnx_graph.py)."""
        return self.sequence.sampling.prompt_logprobs is not None


class OnnxBackend:
    """wxruntime.backends.base.Backend over Rows: those that answer are the first rows, in the order of `_answering`.

    A prompt that is read in pieces has the row after them.
    """

    def __init__(self, rows: Rows, limits: Limits, *, prompt_tokens: int | None, gather_s: float) -> None:
        self.limits, self.gather_s = limits, gather_s
        self._rows = rows
        self._prompt_tokens = prompt_tokens or PROMPT_TOKENS
        self._prompt_tokens_beside = prompt_tokens or PROMPT_TOKENS_BESIDE
        self._waiting: deque[_Row] = deque()
        self._answering: list[_Row] = []
        self._reading: _Row | None = None

    def prove(self) -> None:
        for tokens in (1, min(BATCH_TOKENS, self._rows.capacity)):  # either graph
            logits = self._rows.forward(0, [[0] * tokens], [tokens])
            if not np.isfinite(logits).all():
                raise CheckpointError("the weights give logits that are not finite")

    def admit(self, sequences: List[Sequence]) -> None:
        self._waiting.extend(_Row(sequence) for sequence in sequences)

    def drop(self, ids: List[int]) -> None:
        gone = set(ids)
        self._waiting = deque(row for row in self._waiting if row.id not in gone)
        if self._reading is not None and self._reading.id in gone:
            self._reading = None
        self._remove(at for at, row in enumerate(self._answering) if row.id in gone)

    def step(self) -> Step:
        """The next token of each row that answers, and then so many tokens of the prompts that wait."""
        step = Step()
        if self._reading is None:
            self._begin_scored(step)
        if self._answering:
            self._decode(step)
        if self._reading is not None:
            self._read_piece(self._reading, step)
        elif self._waiting and not self._waiting[0].scored and len(self._answering) < self.limits.max_sequences:
            self._read_next(step)
        return step

    def usage(self) -> Usage:
        rows = [*self._answering, *([self._reading] if self._reading else [])]
        return Usage(kv_used=sum(row.length for row in rows) / self.limits.kv_tokens)

    def reset(self) -> None:
        self._waiting.clear()
        self._answering.clear()
        self._reading = None
        self.prove()

    def close(self) -> None:
        """Nothing of it outlives the process."""

    def _begin_scored(self, step: Step) -> None:
        """Those at the head of the queue whose prompts are told take rows, while there are some."""
        while self._waiting and self._waiting[0].scored and len(self._answering) < self.limits.max_sequences:
            row = self._waiting.popleft()
            row.last = row.sequence.prompt[0]
            step.started.append((row.id, 0))
            self._answering.append(row)

    @property
    def _piece(self) -> int:
        """Most prompt tokens in this step."""
        return self._prompt_tokens_beside if self._answering else self._prompt_tokens

    def _decode(self, step: Step) -> None:
        rows = self._answering
        logits = self._rows.forward(0, [[row.last] for row in rows], [row.length + 1 for row in rows])
        for row in rows:
            row.length += 1
        step.processed += len(rows)
        self._draw(0, logits, step)

    def _read_next(self, step: Step) -> None:
        """The oldest prompt; with it those of its bucket, or alone and in pieces where it is long."""
        oldest = self._waiting[0]
        if len(oldest.unread) > self._piece:
            self._reading = self._waiting.popleft()
            step.started.append((oldest.id, 0))
            self._read_piece(oldest, step)
            return
        group = self._group(self.limits.max_sequences - len(self._answering))
        first = len(self._answering)
        prompts = [row.unread for row in group]
        logits = self._rows.forward(first, prompts, [len(prompt) for prompt in prompts])
        for row in group:
            self._waiting.remove(row)
            row.length = len(row.sequence.prompt)
            step.started.append((row.id, 0))
            step.processed += row.length
        self._answering.extend(group)
        self._draw(first, logits, step)

    def _group(self, room: int) -> list[_Row]:
        """Which prompts are read in one run: of the oldest one's bucket, in their order, within a piece's tokens."""
        bucket = bucket_of(len(self._waiting[0].unread))
        group: list[_Row] = []
        longest = 0
        for row in self._waiting:
            if len(group) == room:
                break
            length = len(row.unread)
            if row.scored or bucket_of(length) != bucket:
                continue
            if max(longest, length) * (len(group) + 1) > self._piece:
                continue
            longest = max(longest, length)
            group.append(row)
        return group

    def _read_piece(self, row: _Row, step: Step) -> None:
        piece = row.unread[: self._piece]
        first = len(self._answering)
        logits = self._rows.forward(first, [piece], [row.length + len(piece)])
        row.length += len(piece)
        step.processed += len(piece)
        if not row.unread:
            self._reading = None
            self._answering.append(row)
            self._draw(first, logits, step)

    def _draw(self, first: int, logits: Floats, step: Step) -> None:
        """A token for each row from `first` on, or how likely its prompt's next one was; those that end leave."""
        ended = []
        for at, given in enumerate(logits, first):
            row = self._answering[at]
            sampling = row.sequence.sampling
            if row.length < len(row.sequence.prompt):
                row.last = row.sequence.prompt[row.length]
                told = logprob(given, row.last, sampling.prompt_logprobs or 0)
                step.prompt_logprobs.setdefault(row.id, []).append(told)
                continue
            row.last = draw(given, sampling, row.length)
            row.made += 1
            if sampling.logprobs is not None:
                step.logprobs[len(step.tokens)] = logprob(given, row.last, sampling.logprobs)
            step.tokens.append((row.id, row.last))
            if ending := _ending(row):
                step.finished.append((row.id, ending))
                ended.append(at)
        self._remove(ended)

    def _remove(self, places: Iterable[int]) -> None:
        """Take rows out; the last ones fill their places, so that those which answer stay next to each other."""
        before = len(self._answering)
        for at in sorted(places, reverse=True):
            last = self._answering.pop()
            if at < len(self._answering):
                self._rows.copy(len(self._answering), at, last.length)
                self._answering[at] = last
        if self._reading is not None and len(self._answering) < before:
            self._rows.copy(before, len(self._answering), self._reading.length)


def bucket_of(length: int) -> int:
    """The number of the bucket of a prompt of so many tokens: short ones share one, others differ by BUCKET_RATIO."""
    return max(0, math.ceil(math.log(length / FIRST_BUCKET, BUCKET_RATIO)))


def _ending(row: _Row) -> Ending | None:
    if row.last in row.sequence.sampling.stop_tokens:
        return "stop"
    return "length" if row.made == row.sequence.sampling.max_tokens else None


def load(options: Load) -> OnnxBackend:
    """Raise CheckpointError for a directory that is no exported model, and for limits that do not fit the memory.

    The server has compared the files with their manifest; that is not done twice.
    """
    if options.device == "cuda":
        raise CheckpointError("--device cuda: the onnx backend runs on a CPU; paged and transformers have a GPU")
    if options.dtype not in ("auto", "float32"):
        raise CheckpointError(f"--dtype {options.dtype}: an exported model has the precision that it was exported in")
    checkpoint = read_checkpoint(options.model, Trust(check=Check.SIZES), weights="onnx")
    threads = options.threads or cores()
    try:
        rows = Rows(options.model, threads)
    except Exception as error:  # whatever a file that it did not expect makes ONNX Runtime raise
        raise CheckpointError(f"{options.model}: ONNX Runtime cannot load the model: {error}") from error
    limits = _limits(options, checkpoint.context_length, rows.token_bytes)
    rows.reserve(limits.max_sequences, limits.context_length)
    size = limits.kv_tokens * rows.token_bytes / GIB
    log.info(
        "%d threads; %d sequences of up to %d tokens, whose keys and values take at most %.1f GiB",
        *(threads, limits.max_sequences, limits.context_length, size),
    )
    gather_s = GATHER_S if options.gather_s is None else options.gather_s
    return OnnxBackend(rows, limits, prompt_tokens=options.max_batch_tokens, gather_s=gather_s)


def _limits(options: Load, longest: int, token_bytes: int) -> Limits:
    """What was asked for, or as many sequences of CONTEXT_LENGTH as the free memory holds."""
    context = options.context_length or min(CONTEXT_LENGTH, longest)
    if context > longest:
        raise CheckpointError(f"a context of {context} tokens is longer than the model's own, {longest}")
    room = options.kv_tokens or int(free_memory() * KV_SHARE / token_bytes)
    fitting = room // context
    wanted = options.max_sequences or max(1, min(MAX_SEQUENCES, fitting))
    if fitting < wanted:
        gigabytes = wanted * context * token_bytes / GIB
        raise CheckpointError(
            f"{wanted} sequences of {context} tokens need {gigabytes:.1f} GiB for keys and values, and there is room "
            f"for {room * token_bytes / GIB:.1f} GiB; {wanted} sequences of {room // wanted} tokens would fit"
        )
    return Limits(context_length=context, max_sequences=wanted, kv_tokens=wanted * context)
