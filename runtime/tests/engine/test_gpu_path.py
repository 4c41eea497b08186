"""A mixture of experts is captured where PyTorch multiplies groups, and the log says which way it goes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import Ernie4_5_MoeConfig, Ernie4_5Config

from wxruntime.backends.gpu_path import described, enough_tokens, uncapturable

DENSE, MOE = Ernie4_5Config(), Ernie4_5_MoeConfig(moe_num_experts=4)
HOPPER, TURING = (9, 0), (7, 5)


@pytest.mark.parametrize(
    ("config", "dtype", "gpu", "why"),
    [
        (MOE, torch.bfloat16, HOPPER, ""),
        (MOE, torch.float16, HOPPER, "experts in float16"),
        (MOE, torch.float32, HOPPER, "experts in float32"),
        (MOE, torch.bfloat16, TURING, "compute capability 7.5"),
        (DENSE, torch.float16, TURING, ""),
    ],
)
def test_what_cannot_be_captured_is_told_why(
    config: object, dtype: torch.dtype, gpu: tuple[int, int], why: str
) -> None:
    told = uncapturable(config, dtype, gpu)
    assert (why in told) if why else told == ""


def test_the_log_says_what_attends_what_multiplies_and_how_steps_are_launched() -> None:
    config = SimpleNamespace(
        model_type="ernie4_5_moe", num_experts=4, _attn_implementation="sdpa", _experts_implementation="grouped_mm"
    )
    assert described(config, torch.bfloat16, "", compiled=True) == (
        "ernie4_5_moe in bfloat16: attention sdpa, experts grouped_mm, compiled layers in CUDA graphs"
    )
    assert described(config, torch.float16, "of this", compiled=True).endswith(
        "experts grouped_mm, steps launched one kernel after another, since of this"
    )
    dense = SimpleNamespace(model_type="ernie4_5", _attn_implementation="flash_wxruntime")
    assert described(dense, torch.bfloat16, "", compiled=False) == (
        "ernie4_5 in bfloat16: attention flash_wxruntime, CUDA graphs"
    )


def test_the_cache_is_no_larger_than_all_sequences_at_their_longest() -> None:
    assert enough_tokens(256 * 4096, token_bytes=512, free=120e9) == 256 * 4096
    assert enough_tokens(256 * 131072, token_bytes=57344, free=90e9) is None
