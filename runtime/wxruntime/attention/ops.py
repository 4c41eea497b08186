"""Which code runs an operation: the Triton kernel where the tensors are on a GPU, else plain PyTorch.

TRITON_INTERPRET=1 runs the kernels on a CPU: that is how they are tested without a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import torch

from wxruntime.attention import reference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TRITON = find_spec("triton") is not None and (torch.cuda.is_available() or INTERPRETED)

Given = ParamSpec("Given")
Gives = TypeVar("Gives")


def _either(kernel: Callable[Given, Gives], plain: Callable[Given, Gives]) -> Callable[Given, Gives]:
    """By where the first tensor is."""

    def operation(*given: Given.args, **named: Given.kwargs) -> Gives:
        first = given[0]
        on_gpu = INTERPRETED or (isinstance(first, torch.Tensor) and first.is_cuda)
        return kernel(*given, **named) if on_gpu else plain(*given, **named)

    return operation


attend_decode, attend_prefill = reference.attend_decode, reference.attend_prefill
draw, quantize_rows, turn_and_store = reference.draw, reference.quantize_rows, reference.turn_and_store
rms_norm, silu_gate, skinny = reference.rms_norm, reference.silu_gate, reference.skinny
splits, candidates = reference.splits, reference.candidates
PADDED_ROWS: tuple[int, ...] = ()
# What comes of a tile that the compiler does not build or for which the card has not the shared memory.
UNFIT: tuple[type[Exception], ...] = ()

if TRITON:
    from triton.errors import TritonError

    from wxruntime.attention.kernels import activation, decode, norm, prefill, quantize, rotary
    from wxruntime.attention.kernels import draw as drawing
    from wxruntime.attention.kernels import skinny as few

    attend_decode = _either(decode.attend_decode, reference.attend_decode)
    attend_prefill = _either(prefill.attend_prefill, reference.attend_prefill)
    draw = _either(drawing.draw, reference.draw)
    quantize_rows = _either(quantize.quantize_rows, reference.quantize_rows)
    rms_norm = _either(norm.rms_norm, reference.rms_norm)
    silu_gate = _either(activation.silu_gate, reference.silu_gate)
    skinny = _either(few.skinny, reference.skinny)
    turn_and_store = _either(rotary.turn_and_store, reference.turn_and_store)
    UNFIT = TritonError, RuntimeError
    splits, candidates, PADDED_ROWS = decode.splits, few.candidates, few.PADDED_ROWS
