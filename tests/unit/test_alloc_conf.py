"""PYTORCH_ALLOC_CONF: what PyTorch's allocator would refuse is said before PyTorch starts."""

from __future__ import annotations

import pytest

from wxops.audit.alloc_conf import problems
from wxops.audit.tables import Tables


@pytest.mark.parametrize(
    "text",
    [
        "expandable_segments:True",
        "max_split_size_mb:128, garbage_collection_threshold:0.8",
        "backend:cudaMallocAsync",
        "roundup_power2_divisions:[256:1,512:2,1024:4,>:8],expandable_segments:False",
        "per_process_memory_fraction:1.0",
    ],
)
def test_what_pytorch_takes_is_well(text: str) -> None:
    assert list(problems(text, Tables.load().alloc_conf)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("expandable_segments:true", "expandable_segments is True or False, not 'true'"),
        ("expandable_segment:True", "there is no key 'expandable_segment', did you mean 'expandable_segments'?"),
        ("max_split_size_mb:10", "max_split_size_mb is a number from 20 on, not '10'"),
        ("garbage_collection_threshold:80", "garbage_collection_threshold is above 0 and at most 1, not '80'"),
        ("garbage_collection_threshold:x", "garbage_collection_threshold is above 0 and at most 1, not 'x'"),
        ("backend:async", "backend is one of native, cudaMallocAsync, hipMallocAsync, not 'async'"),
        ("expandable_segments", "'expandable_segments' has no value: write key:value"),
        ("expandable_segments:True,", "there is a comma too many"),
    ],
)
def test_what_pytorch_refuses_is_said_in_a_sentence(text: str, said: str) -> None:
    assert list(problems(text, Tables.load().alloc_conf)) == [said]
