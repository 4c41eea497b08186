"""Where nobody names a backend, the fastest is taken that answers as the checkpoint says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from wxruntime import backends
from wxruntime.backends.auto import choose
from wxruntime.backends.base import Load
from wxruntime.backends.gpu_path import Capability
from wxruntime.backends.transformers import Transformers

DENSE = {"model_type": "ernie4_5", "dtype": "bfloat16", "hidden_act": "silu"}
HOPPER, TURING = (9, 0), (7, 5)


@pytest.mark.parametrize(
    ("config", "dtype", "gpu", "name", "why"),
    [
        ({}, "auto", HOPPER, "paged", "a dense model on a GPU"),
        ({}, "fp8", HOPPER, "paged", "a dense model on a GPU"),
        ({"dtype": None, "torch_dtype": "bfloat16"}, "auto", HOPPER, "paged", "a dense model on a GPU"),
        ({"dtype": "float32"}, "bfloat16", HOPPER, "paged", "a dense model on a GPU"),
        ({}, "auto", None, "transformers", "on a CPU"),
        ({}, "auto", TURING, "transformers", "7.5"),
        ({"model_type": "ernie4_5_moe"}, "auto", HOPPER, "transformers", "ernie4_5_moe is not dense"),
        ({"use_bias": True}, "auto", HOPPER, "transformers", "use_bias"),
        ({"dtype": "float16"}, "auto", HOPPER, "transformers", "float16"),
        ({}, "float32", HOPPER, "transformers", "float32"),
    ],
)
def test_paged_is_for_what_it_runs_and_transformers_for_the_rest(
    config: dict[str, Any], dtype: str, gpu: Capability | None, name: str, why: str
) -> None:
    chosen, said = choose(DENSE | config, dtype, gpu)
    assert chosen == name and why in said


def test_a_dense_model_on_a_cpu_is_run_by_transformers_and_the_log_says_so(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "wxruntime"):
        assert isinstance(backends.load("auto", Load(tiny, device="cpu")), Transformers)
    assert "backend: transformers, since it runs on a CPU" in caplog.text
