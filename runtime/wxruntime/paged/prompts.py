"""Reading prompts: pieces of several sequences in one pass, a CUDA graph where the pass is short.

All that a pass needs from the host is one row of 32-bit words, so it is one copy; a graph finds it always in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wxruntime.attention.ops import attend_prefill, draw
from wxruntime.paged.model import Ernie
from wxruntime.paged.run import Run
from wxruntime.sampling import seed_word

# Tokens and sequences for which there are graphs: where the launches would take the host longer than the GPU.
TOKENS = (16, 32, 64, 128, 256, 384, 512, 640, 768, 1024)
SEQUENCES = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens `first` to `last` of a run, which are read now."""

    run: Run
    first: int
    last: int

    @property
    def whole(self) -> bool:
        return self.last == len(self.run.tokens)


@dataclass(frozen=True, slots=True)
class Read:
    """What a pass gives, on the device. n is the number of pieces, or more where a graph pads them.

    drawn:  [2, n]: for pieces that are whole a token, and the bits of its log-likelihood.
    logits: [n, vocabulary]: what they were drawn from.
    hidden: [tokens or more, hidden]: the pieces' states one behind the other, before the head.
    """

    drawn: torch.Tensor
    logits: torch.Tensor
    hidden: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Words:
    """The parts of the row, each a view of it. The third line is a word for each sequence, `starts` one more."""

    tokens: Any
    positions: Any
    slots: Any
    starts: Any
    lengths: Any
    ends: Any
    newest: Any
    temperatures: Any
    top_ps: Any
    seeds: Any
    table: Any

    @classmethod
    def of(cls, row: Any, tokens: int, sequences: int, pages: int) -> _Words:
        sizes = [tokens] * 3 + [sequences + 1] + [sequences] * 6 + [sequences * pages]
        ends = np.cumsum(sizes)
        return cls(*(row[end - size : end] for size, end in zip(sizes, ends.tolist(), strict=True)))

    @staticmethod
    def count(tokens: int, sequences: int, pages: int) -> int:
        return 3 * tokens + sequences * (7 + pages) + 1


class Prompts:
    """Reads into the cache of `model`, in sequences of at most `pages` pages."""

    def __init__(self, model: Ernie, pages: int, page: int) -> None:
        self.model, self.pages, self.page, self.device = model, pages, page, model.device
        self.on_gpu = self.device.type == "cuda"
        self._graphs: dict[int, tuple[Any, torch.Tensor, Read]] = {}

    def capture(self, most_tokens: int) -> None:
        if not self.on_gpu:
            return
        for size in sorted((each for each in TOKENS if each <= most_tokens), reverse=True):
            row = self._row([], size, SEQUENCES).to(self.device)
            self._read(row, size, SEQUENCES)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                read = self._read(row, size, SEQUENCES)
            self._graphs[size] = graph, row, read

    def launch(self, pieces: Sequence[Piece]) -> Read:
        """Read them. What it returns holds until the next launch."""
        tokens = sum(piece.last - piece.first for piece in pieces)
        size = next((size for size in sorted(self._graphs) if size >= tokens), None)
        if size is None or len(pieces) > SEQUENCES:
            row = self._row(pieces, tokens, len(pieces)).to(self.device, non_blocking=True)
            return self._read(row, tokens, len(pieces))
        graph, row, read = self._graphs[size]
        row.copy_(self._row(pieces, size, SEQUENCES), non_blocking=True)
        graph.replay()
        return read

    def _row(self, pieces: Sequence[Piece], tokens: int, sequences: int) -> torch.Tensor:
        """The row on the host. What is padding has position -1 and length 0."""
        row = torch.zeros(_Words.count(tokens, sequences, self.pages), dtype=torch.int32, pin_memory=self.on_gpu)
        words = _Words.of(row.numpy(), tokens, sequences, self.pages)
        words.positions[:] = words.newest[:] = -1
        at, page = 0, self.page
        for number, piece in enumerate(pieces):
            run, sampling = piece.run, piece.run.sequence.sampling
            positions = np.arange(piece.first, piece.last, dtype=np.int32)
            pages = np.array(run.pages, dtype=np.int32)
            end = at + len(positions)
            words.tokens[at:end] = run.tokens[piece.first : piece.last]
            words.positions[at:end] = positions
            words.slots[at:end] = pages[positions // page] * page + positions % page
            words.table[number * self.pages : number * self.pages + len(pages)] = pages
            words.starts[number + 1], words.lengths[number], words.ends[number] = end, piece.last, end - 1
            if piece.whole:
                words.newest[number] = piece.last - 1
            words.temperatures.view(np.float32)[number] = sampling.temperature
            words.top_ps.view(np.float32)[number] = sampling.top_p
            words.seeds[number] = seed_word(sampling.seed)
            at = end
        words.starts[len(pieces) + 1 :] = at
        return row

    def _read(self, row: torch.Tensor, tokens: int, sequences: int) -> Read:
        words = _Words.of(row, tokens, sequences, self.pages)
        table = words.table.view(sequences, self.pages)

        def attend(q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            scale = self.model.scale
            return attend_prefill(q, keys, values, table, words.starts, None, words.lengths, self.page, scale)

        hidden = self.model.forward(words.tokens, words.positions, words.slots, None, 0, attend)
        logits = self.model.logits(hidden.index_select(0, words.ends))
        drawn = torch.zeros((2, sequences), dtype=torch.int32, device=self.device)
        temperatures, top_ps = words.temperatures.view(torch.float32), words.top_ps.view(torch.float32)
        logprobs = drawn[1].view(torch.float32)
        draw(logits, temperatures, top_ps, words.seeds, words.newest, words.newest, drawn[0], logprobs, advance=False)
        return Read(drawn, logits, hidden)
