"""How likely a model finds the tokens of a prompt, from the hidden states of a pass that has read them.

The logits of 8,192 tokens in ERNIE's vocabulary of 103,424 would be 3.4 GB in float32. So they are made and forgotten
in pieces of CHUNK_BYTES, and a number a token stays, with the likeliest others.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass

import torch

from wxruntime.backends.base import Logprob, Sequence

CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Scores:
    """Of n tokens, on the model's device, in float32. chosen [n]; values and ids [n, top]: the likeliest tokens."""

    chosen: torch.Tensor
    values: torch.Tensor
    ids: torch.Tensor

    def told(self) -> list[Logprob]:
        """On the host, for which the device is waited for."""
        likeliest = zip(self.ids.tolist(), self.values.tolist(), strict=True)
        return [
            Logprob(chosen, tuple(zip(ids, values, strict=True)))
            for chosen, (ids, values) in zip(self.chosen.tolist(), likeliest, strict=True)
        ]


def unscored(sequence: Sequence, scored: int, first: int, last: int) -> range:
    """The positions `first` to `last` whose next token is the prompt's, less the `scored` first of all, told before.

    Empty where the sequence asks for nothing. A sequence that was set back is read anew, and nothing is told twice.
    """
    if sequence.sampling.prompt_logprobs is None:
        return range(0)
    return range(max(first, scored), min(last, len(sequence.prompt) - 1))


def score(
    hidden: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor], vocabulary: int, tokens: List[int], top: int
) -> Scores:
    """hidden [n, width], n > 0: of the positions before `tokens`. head: hidden states to logits [rows, vocabulary]."""
    chosen, values, ids = [], [], []
    wanted = torch.tensor(tokens, pin_memory=hidden.is_cuda).to(hidden.device, non_blocking=True)[:, None]
    rows = max(1, CHUNK_BYTES // (4 * vocabulary))
    for start in range(0, len(hidden), rows):
        logits = head(hidden[start : start + rows]).float()
        total = logits.logsumexp(-1, keepdim=True)
        chosen.append((logits.gather(1, wanted[start : start + rows]) - total)[:, 0])
        likeliest = logits.topk(min(top, vocabulary))
        values.append(likeliest.values - total)
        ids.append(likeliest.indices)
    return Scores(torch.cat(chosen), torch.cat(values), torch.cat(ids))


def following(sequence: Sequence, positions: range) -> List[int]:
    """The tokens after these positions of the prompt."""
    return sequence.prompt[positions.start + 1 : positions.stop + 1]
