"""A kernel that torch.compile launches builds for a GPU with what it passes; no GPU is needed for that."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BUILD = """
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from wxruntime.attention.kernels import decode, prefill

tensors = dict.fromkeys(("q", "keys", "values", "out"), "*bf16")
numbers = dict.fromkeys(("where", "q_starts", "k_starts", "lengths", "table", "positions"), "*i32")
strides = ("sequences", "q_stride", "where_stride", "slot_stride", "table_stride", "page_stride", "splits")
parts = dict.fromkeys(("part", "part_ml"), "*fp32")
types = tensors | numbers | parts | dict.fromkeys(strides, "i32") | {"scale": sys.argv[2]}
shape = {"KV": 2, "GROUP": 8, "ROWS": 16, "D": 128, "KEYS": 64, "EXACT": False}
more = {"prefill": {"QUERIES": 2, "PAGE": 0, "STEPS": 12}, "decode": {"PAGE": 64, "ONE": True, "EARLY": False}}
kernel = {"prefill": prefill, "decode": decode}[sys.argv[1]]._attend
given = {name: (shape | more[sys.argv[1]])[name] for name in kernel.arg_names if name.isupper()}
signature = {name: "constexpr" if name in given else types[name] for name in kernel.arg_names}
compile(ASTSource(kernel, signature, given), target=GPUTarget("cuda", 90, 32))
print("built")
"""


@pytest.mark.parametrize("kernel", ["prefill", "decode"])
def test_the_scale_may_come_in_64_bits(kernel: str) -> None:
    """As torch.compile passes a float."""
    compiler = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kernel, "fp64"], capture_output=True, text=True, env=compiler, timeout=300
    )
    assert done.stdout == "built\n", done.stderr[-2000:]
