"""How the tokens of a batch are drawn, each sequence by its own temperature, top_p and seed.

transformers' continuous batching hands the logits to a list of processors and takes the largest score of each row. This
stands in for that list: the scores that it returns are largest at the token that is drawn (see wxruntime.sampling).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as List
from dataclasses import dataclass, field
from typing import Any

import torch

from wxruntime.backends.base import Logprob, Sequence
from wxruntime.backends.prompt_logprobs import following, score, unscored
from wxruntime.sampling import noise_key, uniform

# Halvings of the likeliest token's likelihood until the border of the nucleus is found to a float32's precision.
HALVINGS = 24


@dataclass(slots=True)
class Look:
    """What is to be looked at beside the tokens of one batch, and what was seen.

    asked:    by row, how many alternatives.
    prompts:  sequences whose prompts are told: each with its first row among the batch's hidden states, and positions.
    logprobs: by row. prompt_logprobs: by the sequence's name.
    """

    asked: list[int | None]
    prompts: list[tuple[str, int, range]] = field(default_factory=list)
    logprobs: dict[int, Logprob] = field(default_factory=dict)
    prompt_logprobs: dict[str, list[Logprob]] = field(default_factory=dict)


class Drawing:
    """Has the methods of transformers' ContinuousBatchingLogitsProcessorList, for the sequences in `running`.

    A batch in which all are greedy costs nothing: its logits are its scores. `captured` is True where the scores may be
    computed by a CUDA graph: no logarithm of likelihood is asked for. `looks` are of the batches whose tokens have not
    been taken, the oldest first: on a GPU a batch is launched before those of the one before it are.
    """

    do_processing = True
    tensors_required = 3  # rows of 32 bits: the noise's key, temperature, top_p

    def __init__(self) -> None:
        self.running: dict[str, Sequence] = {}
        self.sampled = False  # whether anybody in the batch is not greedy
        self.captured = True
        self.checked = False  # whether to look for logits that are not numbers
        self.finite = True
        self.looks: deque[Look] = deque()
        # Prompts that are to be told, and how many of their tokens were or will be with the batches in `looks`.
        self.scored: dict[str, int] = {}

    def check_kwargs(self, kwargs: dict[str, Any]) -> None:
        """transformers' own way to say temperatures is not used."""

    def fill_defaults(self, rows: torch.Tensor) -> None:
        """Greedy, for the sequences that transformers makes up to warm up."""
        rows.zero_()

    def prepare_tensor_args(self, requests_in_batch: List[Any], arg_storage: torch.Tensor) -> torch.Tensor:
        """Called before each batch: what the sequences that get a token ask for."""
        drawn = [
            (self.running.get(each.state.request_id), each.state) for each in requests_in_batch if each.has_new_token
        ]
        look = Look([sequence.sampling.logprobs if sequence else None for sequence, _ in drawn])
        look.prompts = self._prompts(requests_in_batch)
        self.looks.append(look)
        self.captured = not (self.checked or look.prompts or any(asked is not None for asked in look.asked))
        self.sampled = any(sequence is not None and sequence.sampling.temperature > 0 for sequence, _ in drawn)
        if self.sampled:
            keys, temperatures, nuclei = [], [], []
            for sequence, state in drawn:
                greedy = sequence is None or sequence.sampling.temperature == 0
                keys.append(
                    0 if sequence is None or greedy else noise_key(sequence.sampling.seed, state.position_offset)
                )
                temperatures.append(0.0 if sequence is None else sequence.sampling.temperature)
                nuclei.append(1.0 if sequence is None else sequence.sampling.top_p)
            arg_storage[0, : len(keys)] = torch.tensor(keys, dtype=torch.int32)
            arg_storage[1, : len(keys)] = torch.tensor(temperatures, dtype=torch.float32).view(torch.int32)
            arg_storage[2, : len(keys)] = torch.tensor(nuclei, dtype=torch.float32).view(torch.int32)
        return arg_storage

    def _prompts(self, requests_in_batch: List[Any]) -> list[tuple[str, int, range]]:
        """Of which prompts this batch reads tokens that are to be told."""
        found: list[tuple[str, int, range]] = []
        if not self.scored:
            return found
        row = 0
        for each in requests_in_batch:
            name, last = each.state.request_id, each.state.position_offset  # counts this batch's tokens already
            first = last - each.query_length
            if name in self.scored:
                sequence = self.running[name]
                if positions := unscored(sequence, self.scored[name], first, last):
                    self.scored[name] = positions.stop
                    found.append((name, row + positions.start - first, positions))
                    if positions.stop == len(sequence.prompt) - 1:
                        del self.scored[name]
            row += each.query_length
        return found

    def read_prompts(self, hidden: torch.Tensor, head: Any, vocabulary: int) -> None:
        """hidden [tokens, width]: of the batch launched last, before `head` makes logits of it."""
        look = self.looks[-1]
        for name, row, positions in look.prompts:
            sequence = self.running[name]
            rows = hidden[row : row + len(positions)]
            top = sequence.sampling.prompt_logprobs or 0
            told = score(rows, head, vocabulary, following(sequence, positions), top).told()
            look.prompt_logprobs[name] = told

    def admit(self, name: str, sequence: Sequence) -> None:
        self.running[name] = sequence
        if sequence.sampling.prompt_logprobs is not None and len(sequence.prompt) > 1:
            self.scored[name] = 0

    def forget(self, name: str) -> None:
        self.running.pop(name, None)
        self.scored.pop(name, None)

    def reset(self) -> None:
        self.running.clear()
        self.scored.clear()
        self.looks.clear()

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor
    ) -> torch.Tensor:
        """Scores [rows, vocabulary] whose largest is each row's token."""
        drawn = scores
        if self.sampled:
            rows = logits_processor_args[:, : scores.shape[0]]
            temperature, top_p = rows[1].view(torch.float32), rows[2].view(torch.float32)
            drawn = draw(scores, rows[0, :, None], temperature[:, None], top_p[:, None])
        if not self.captured:
            self._look(scores, drawn)
        return drawn

    def _look(self, logits: torch.Tensor, drawn: torch.Tensor) -> None:
        """Keep what was asked for beside the tokens."""
        if self.checked:
            self.finite = bool(torch.isfinite(logits).all())
        look = self.looks[-1]
        rows = [row for row, asked in enumerate(look.asked) if asked is not None]
        if not rows:
            return
        most = max(look.asked[row] or 0 for row in rows)
        logs = torch.log_softmax(logits[rows].float(), dim=-1)
        chosen = logs.gather(1, drawn[rows].argmax(-1, keepdim=True))[:, 0].tolist()
        values, tokens = (found.tolist() for found in logs.topk(min(most, logs.shape[1])))
        for at, row in enumerate(rows):
            top = tuple(zip(tokens[at], values[at], strict=True))[: look.asked[row]]
            look.logprobs[row] = Logprob(chosen[at], top)


def draw(logits: torch.Tensor, key: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Scores whose largest is a draw; key, temperature and top_p are columns. Temperature 0 leaves a row as it is.

    Nothing here depends on the values, so a CUDA graph can hold it."""
    greedy = temperature == 0
    scaled = logits / torch.where(greedy, 1.0, temperature)
    kept = nucleus(torch.softmax(scaled, dim=-1), top_p)
    tokens = torch.arange(logits.shape[1], dtype=torch.int32, device=logits.device)
    noise = -torch.log(-torch.log(uniform(key, tokens)))
    return torch.where(greedy, logits, torch.where(kept, scaled + noise, -torch.inf))


def nucleus(likelihood: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Which tokens are among the likeliest that together reach `top_p` (arXiv:1904.09751), at least one a row.

    The border is found by halving: to sort 100,000 tokens costs more than to add them up 24 times."""
    low, high = torch.zeros_like(top_p), likelihood.amax(dim=-1, keepdim=True)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = torch.where(likelihood >= middle, likelihood, 0).sum(dim=-1, keepdim=True) >= top_p
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return (likelihood >= low) | (top_p >= 1)
