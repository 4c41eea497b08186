"""What a request asks of its answer, and the noise that makes a seed's draws the same in every batch.

A token is drawn by adding Gumbel noise to the logits divided by the temperature, and taking the largest: that is a draw
from their softmax. The noise is a function of seed, position and token alone, so it matters neither what else is in the
batch nor in which order it was computed. The functions take NumPy arrays and PyTorch tensors alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_WORD = 0xFFFFFFFF
# Constants of a 32-bit mixing function (lowbias32, by Chris Wellons' hash prospector), and 2**32 by the golden ratio.
_MIX_1, _MIX_2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B9


@dataclass(frozen=True, slots=True)
class Sampling:
    """Temperature 0 takes the likeliest token; otherwise equal seeds give equal draws.

    stop_tokens: ids that end the answer; empty where the client wants max_tokens in any case.
    logprobs:    None, or how many of the likeliest tokens to tell with each drawn one.
    prompt_logprobs: the same of the prompt's own tokens, all but the first (vLLM's name). Such a prompt is read whole:
                 of what a prefix cache holds there are no logits.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop_tokens: frozenset[int] = frozenset()
    logprobs: int | None = None
    prompt_logprobs: int | None = None


def noise_key(seed: int, position: int) -> int:
    """A signed 32-bit key for the noise of one draw: `position` counts the tokens of the sequence before it."""
    return _signed(_mix_word((seed_word(seed) + _GOLDEN + position) & _WORD))


def seed_word(seed: int) -> int:
    """The part of noise_key that is the same for all positions, as a signed 32-bit word."""
    key = 0
    for part in (seed & _WORD, (seed >> 32) & _WORD):
        key = _mix_word((key + _GOLDEN + part) & _WORD)
    return _signed(key)


def uniform(key: Any, tokens: Any) -> Any:
    """Numbers in (0, 1), one for each token: `key` is noise_key's, `tokens` ids; both int32 arrays that broadcast."""
    word = tokens * _signed(_GOLDEN) ^ key
    word = word ^ ((word >> 16) & 0xFFFF)
    word = word * _MIX_1
    word = word ^ ((word >> 15) & 0x1FFFF)
    word = word * _signed(_MIX_2)
    word = word ^ ((word >> 16) & 0xFFFF)
    # 23 bits and a half: the largest is 1 - 2**-24, which a float32 holds, so that no logarithm becomes infinite.
    return (((word >> 9) & 0x7FFFFF) + 0.5) * 2.0**-23


def _mix_word(word: int) -> int:
    word = (word ^ (word >> 16)) * _MIX_1 & _WORD
    word = (word ^ (word >> 15)) * _MIX_2 & _WORD
    return word ^ (word >> 16)


def _signed(word: int) -> int:
    """The int32 with the same bits."""
    return word - 2**32 if word >= 2**31 else word
