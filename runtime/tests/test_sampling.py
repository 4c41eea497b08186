"""The noise that draws tokens: uniform, the same in NumPy and PyTorch, and another for each seed and position."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wxruntime.sampling import noise_key, uniform

TOKENS = 103_424  # the vocabulary of ERNIE 4.5


def draw(seed: int, position: int) -> np.ndarray:
    return np.asarray(uniform(np.int32(noise_key(seed, position)), np.arange(TOKENS, dtype=np.int32)))


def test_numpy_and_pytorch_draw_the_same() -> None:
    key = torch.tensor([[noise_key(7, 3)], [noise_key(7, 4)]], dtype=torch.int32)
    ours = uniform(key, torch.arange(TOKENS, dtype=torch.int32))
    assert ours.dtype == torch.float32
    assert np.allclose(ours.numpy(), np.stack([draw(7, 3), draw(7, 4)]), atol=1e-7)


def test_the_noise_is_uniform_and_never_0_or_1() -> None:
    noise = draw(1, 0).astype(np.float32)
    assert noise.min() > 0 and noise.max() < 1
    counts, _ = np.histogram(noise, bins=16, range=(0, 1))
    expected = TOKENS / 16
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-squared, 15 degrees of freedom: 1 in 10,000


def test_one_token_has_other_noise_at_each_seed_and_position() -> None:
    seen = [draw(seed, position)[:4] for seed in (0, 1, -1, 2**63 - 1, -(2**63)) for position in range(20)]
    assert len({tuple(noise) for noise in seen}) == 100
    first = np.array([noise[0] for noise in seen])
    assert 0.4 < first.mean() < 0.6


def test_gumbel_noise_draws_from_the_softmax() -> None:
    logits = np.log([0.5, 0.3, 0.2])
    tokens = np.arange(3, dtype=np.int32)
    drawn = [
        int(np.argmax(logits - np.log(-np.log(uniform(np.int32(noise_key(5, n)), tokens))))) for n in range(20_000)
    ]
    assert np.bincount(drawn) / 20_000 == pytest.approx([0.5, 0.3, 0.2], abs=0.015)
