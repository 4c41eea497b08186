"""Programmatic dependent launch: a kernel is on the card before the one that it depends on has ended, and waits there.

It hides what a launch costs, which at a small batch is a third of the step. Every kernel of the decode step calls
`begin` before it touches anything that a kernel writes; weights it may read before.
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

# From compute capability 9.0 on. WXRUNTIME_DEPENDENT_LAUNCH=0 turns it off, to measure what it brings.
EARLY = (
    torch.cuda.is_available()
    and torch.cuda.get_device_capability() >= (9, 0)
    and os.environ.get("WXRUNTIME_DEPENDENT_LAUNCH") != "0"
)
LAUNCH = {"launch_pdl": True} if EARLY else {}


@triton.jit
def begin(EARLY: tl.constexpr):
    """Wait for what was launched before; then the next kernel may come."""
    if EARLY:
        gdc_wait()
        gdc_launch_dependents()
