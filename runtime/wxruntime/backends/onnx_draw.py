"""Draws tokens from logits with NumPy, as wxruntime.sampling says: equal seeds draw alike in every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wxruntime.backends.base import Logprob
from wxruntime.sampling import Sampling, noise_key, uniform

# The nucleus of a confident model is small: this many tokens are looked at before a whole vocabulary is sorted.
FIRST_LOOK = 256

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[Any]


def draw(logits: Floats, sampling: Sampling, position: int) -> int:
    """One token id. `logits`: one for each token; `position` counts the tokens of the sequence before this one."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    scaled = logits / np.float32(sampling.temperature)
    ids = nucleus(scaled, sampling.top_p)
    key = np.array(noise_key(sampling.seed, position), np.int32)
    noise = -np.log(-np.log(uniform(key, ids.astype(np.int32))))
    return int(ids[(scaled[ids] + noise).argmax()])


def nucleus(scaled: Floats, top_p: float) -> Ids:
    """The likeliest tokens that together reach `top_p`, at least one (arXiv:1904.09751)."""
    size = len(scaled)
    if top_p >= 1:
        return np.arange(size)
    weights = np.exp(scaled - scaled.max())
    total = weights.sum(dtype=np.float64)
    looked_at = min(FIRST_LOOK, size)
    while True:
        likeliest = np.argpartition(-weights, looked_at - 1)[:looked_at]
        likeliest = likeliest[np.argsort(-weights[likeliest], kind="stable")]
        reached = np.cumsum(weights[likeliest], dtype=np.float64) / total
        needed = 1 + int(np.searchsorted(reached, top_p))
        if needed <= looked_at or looked_at == size:
            return likeliest[:needed]
        looked_at = min(looked_at * 8, size)


def logprob(logits: Floats, token: int, top: int) -> Logprob:
    """Of the model's own distribution, with the `top` likeliest tokens."""
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
    likeliest = _likeliest(logits, top)
    return Logprob(float(logits[token]) - total, tuple((int(each), float(logits[each]) - total) for each in likeliest))


def _likeliest(logits: Floats, top: int) -> Ids:
    """The `top` likeliest tokens, the likeliest first: found without sorting a whole vocabulary."""
    if not top:
        return np.empty(0, np.int64)
    among = np.argpartition(-logits, min(top, len(logits)) - 1)[:top]
    return among[np.argsort(-logits[among], kind="stable")]
