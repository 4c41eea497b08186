"""The decode step's state on the device, a row for each running sequence, and the CUDA graphs that step it.

A step reads each row's newest token and position, and leaves the next ones in their place, so that the step after it
needs nothing from the host. A row without a sequence has position -1 and costs no attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from wxruntime.attention.ops import attend_decode, draw, splits
from wxruntime.paged.model import Ernie
from wxruntime.paged.prompts import SEQUENCES
from wxruntime.sampling import Sampling, seed_word

IN_FLIGHT = 4  # answers of so many launches fit on the host


@dataclass(slots=True)
class Answer:
    """What a launch will have drawn. words: [2, rows]: tokens, and bits of their log-likelihoods; done: when."""

    words: torch.Tensor
    done: Any

    def tokens(self) -> list[int]:
        if self.done is not None:
            self.done.synchronize()
        tokens: list[int] = self.words[0].tolist()
        return tokens

    def logprobs(self) -> list[float]:
        logprobs: list[float] = self.words[1].view(torch.float32).tolist()
        return logprobs


class Rows:
    """`rows` rows of at most `pages` pages."""

    def __init__(self, model: Ernie, rows: int, pages: int, page: int) -> None:
        self.model, self.page, self.device = model, page, model.device
        self.on_gpu = self.device.type == "cuda"
        self.sizes = _sizes(rows)
        words = partial(torch.zeros, dtype=torch.int32, device=self.device)
        self.tokens, self.positions, self.seeds = words(rows), words(rows) - 1, words(rows)
        self.table = words((rows, pages))
        self.temperatures = torch.zeros(rows, device=self.device)
        self.top_ps = torch.ones(rows, device=self.device)
        self._graphs: dict[int, Any] = {}
        self._logits: dict[int, torch.Tensor] = {}
        self._drawn = {size: words((2, size)) for size in self.sizes}
        widest = max(rows, SEQUENCES)  # a pass over prompts answers for so many, padding included
        self._host = [torch.zeros((2, widest), dtype=torch.int32, pin_memory=self.on_gpu) for _ in range(IN_FLIGHT)]
        self._turn = 0
        self._processors = torch.cuda.get_device_properties(self.device).multi_processor_count if self.on_gpu else 1

    def size(self, rows: int) -> int:
        """The padded size that holds `rows` rows."""
        return next(size for size in self.sizes if size >= rows)

    def capture(self) -> None:
        """Make the graphs, the largest first: the smaller ones then share its memory."""
        if not self.on_gpu:
            return
        self._decode(self.sizes[0])
        for size in reversed(self.sizes):
            self._decode(size)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self._graphs.values())).pool() if self._graphs else None
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                self._logits[size] = self._decode(size)
            self._graphs[size] = graph

    def launch(self, size: int) -> Answer:
        """One step of the first `size` rows."""
        if size in self._graphs:
            self._graphs[size].replay()
        else:
            self._logits[size] = self._decode(size)
        return self.answer(self._drawn[size])

    def answer(self, drawn: torch.Tensor) -> Answer:
        """`drawn` [2, n] on its way to the host."""
        if not self.on_gpu:
            return Answer(drawn.clone(), None)
        host = self._place(drawn.shape)
        host.copy_(drawn, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        return Answer(host, done)

    def _place(self, shape: torch.Size) -> torch.Tensor:
        """Where the next answer lands on the host."""
        place = self._host[self._turn].flatten()[: shape.numel()].view(shape)
        self._turn = (self._turn + 1) % IN_FLIGHT
        return place

    def top(self, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-likelihoods and ids of the `count` likeliest tokens of the step launched last, still on the device."""
        values, ids = torch.log_softmax(self._logits[size].float(), -1).topk(count)
        return values, ids

    def _decode(self, size: int) -> torch.Tensor:
        tokens, positions, table = self.tokens[:size], self.positions[:size], self.table[:size]
        parts = splits(size, self.model.kv_heads, self._processors)

        def attend(q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return attend_decode(q, keys, values, table, positions, self.page, self.model.scale, parts)

        logits = self.model.logits(self.model.forward(tokens, positions, None, table, self.page, attend))
        drawn, logprobs = self._drawn[size][0], self._drawn[size][1].view(torch.float32)
        sampling = self.temperatures[:size], self.top_ps[:size], self.seeds[:size]
        draw(logits, *sampling, positions, tokens, drawn, logprobs, advance=True)
        return logits

    def fill(self, rows: Sequence[int], tokens: torch.Tensor, positions: Sequence[int], pages: Sequence[Sequence[int]],
             samplings: Sequence[Sampling]) -> None:  # fmt: skip
        """Sequences come: their newest tokens are on the device."""
        at = self.send(rows).long()
        self.tokens.index_copy_(0, at, tokens)
        self.positions.index_copy_(0, at, self.send(positions))
        longest = max(map(len, pages))
        table = self.send([number for each in pages for number in (*each, *[0] * (longest - len(each)))])
        self.table[:, :longest].index_copy_(0, at, table.view(len(rows), longest))
        temperatures, top_ps, seeds = self.sampling(samplings)
        self.temperatures.index_copy_(0, at, temperatures)
        self.top_ps.index_copy_(0, at, top_ps)
        self.seeds.index_copy_(0, at, seeds)

    def sampling(self, samplings: Sequence[Sampling]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Temperatures, top_ps and the seeds' part of noise_key, on the device."""
        floats = self.send([each.temperature for each in samplings] + [each.top_p for each in samplings], torch.float32)
        temperatures, top_ps = floats.view(2, -1)
        return temperatures, top_ps, self.send([seed_word(each.seed) for each in samplings])

    def grow(self, changes: Sequence[tuple[int, int, int]]) -> None:
        """Row, place in its table, page."""
        width = self.table.shape[1]
        at = self.send([row * width + place for row, place, _ in changes]).long()
        self.table.view(-1).index_copy_(0, at, self.send([page for *_, page in changes]))

    def clear(self, rows: Sequence[int]) -> None:
        self.positions.index_fill_(0, self.send(rows).long(), -1)

    def move(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        source, target = self.send(sources).long(), self.send(targets).long()
        for state in (self.tokens, self.positions, self.table, self.temperatures, self.top_ps, self.seeds):
            state.index_copy_(0, target, state[source])
        self.positions.index_fill_(0, source, -1)

    def send(self, numbers: Sequence[Any], dtype: torch.dtype = torch.int32) -> torch.Tensor:
        """To the device without waiting for it."""
        there = torch.tensor(numbers, dtype=dtype, pin_memory=self.on_gpu)
        return there.to(self.device, non_blocking=True)


def _sizes(rows: int) -> list[int]:
    """Padded batch sizes up to `rows`: powers of two, then steps of an eighth or less of the size."""
    sizes, size = [], 1
    while size < rows:
        sizes.append(size)
        size += max(1, 2 ** int(math.log2(size))) if size < 16 else max(8, 2 ** (int(math.log2(size)) - 2))
    return [*sizes, rows]
