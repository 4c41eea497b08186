"""How the next token is chosen by the engine that answers one request at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a request asks of its answer. Temperature 0 takes the likeliest token; a seed makes draws repeatable."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Sampler:
    """Draws the tokens of one answer."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._sampling = sampling
        self._random = torch.Generator(device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    def draw(self, logits: torch.Tensor) -> int:
        """One token id from a vector of logits, one for each token of the vocabulary."""
        if self._sampling.temperature == 0:
            return int(logits.argmax())
        likelihood = torch.softmax(logits.float() / self._sampling.temperature, dim=-1)
        if self._sampling.top_p < 1:
            likelihood = nucleus(likelihood, self._sampling.top_p)
        return int(torch.multinomial(likelihood, 1, generator=self._random))


def nucleus(likelihood: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the likeliest tokens that together reach `top_p`, at least one; the others become 0 (arXiv:1904.09751)."""
    ordered, order = likelihood.sort(descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    return torch.zeros_like(likelihood).scatter(-1, order, ordered.masked_fill(before >= top_p, 0))
