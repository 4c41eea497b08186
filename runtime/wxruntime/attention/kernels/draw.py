"""The next token of every sequence, drawn on the device: nothing waits for the host.

A program reads one row of logits. The nucleus is found without sorting, by halving the interval in which its smallest
likelihood lies; the draw is the largest logit after Gumbel noise, a function of seed, position and token
(wxruntime.sampling). The chosen token is put where the next step reads it, and the row's position moves on.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin


@triton.jit
def _mix(word):
    word = (word ^ (word >> 16)) * tl.full([], 0x7FEB352D, tl.uint32)
    word = (word ^ (word >> 15)) * tl.full([], 0x846CA68B, tl.uint32)
    return word ^ (word >> 16)


@triton.jit(
    do_not_specialize_on_alignment=["temperatures", "top_ps", "seeds", "positions", "tokens", "drawn", "logprobs"]
)
def _draw(
    logits, temperatures, top_ps, seeds, positions, tokens, drawn, logprobs, vocabulary, stride,
    ADVANCE: tl.constexpr, HALVINGS: tl.constexpr, BLOCK: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(EARLY)
    row = tl.program_id(0)
    position = tl.load(positions + row)
    if position < 0:
        return
    temperature = tl.load(temperatures + row)
    top_p = tl.load(top_ps + row)
    line = logits + row.to(tl.int64) * stride
    i = tl.arange(0, BLOCK)
    # The largest logit, where it is, and the sum of exponentials, in one pass.
    most = tl.full([BLOCK], float("-inf"), tl.float32)
    at = tl.zeros([BLOCK], tl.int32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, vocabulary, BLOCK):
        x = tl.load(line + start + i, mask=start + i < vocabulary, other=float("-inf")).to(tl.float32)
        higher = x > most
        at = tl.where(higher, start + i, at)
        new = tl.maximum(most, x)
        safe = tl.where(new > float("-inf"), new, 0.0)
        total = total * tl.exp(most - safe) + tl.exp(x - safe)
        most = new
    top = tl.max(most, 0)
    mass = tl.sum(total * tl.exp(most - top), 0)
    token = tl.min(tl.where(most == top, at, 2147483647), 0)
    score = top
    if temperature > 0:
        inverse = 1.0 / temperature
        least = float("-inf")
        if top_p < 1:
            # Keep the likeliest tokens that together reach top_p: those above a cut, sought between two bounds.
            all_mass = 0.0
            for start in range(0, vocabulary, BLOCK):
                x = tl.load(line + start + i, mask=start + i < vocabulary, other=float("-inf")).to(tl.float32)
                all_mass += tl.sum(tl.exp((x - top) * inverse), 0)
            low = -30.0
            high = 0.0
            for _ in range(HALVINGS):
                cut = (low + high) * 0.5
                above = 0.0
                for start in range(0, vocabulary, BLOCK):
                    x = tl.load(line + start + i, mask=start + i < vocabulary, other=float("-inf")).to(tl.float32)
                    x = (x - top) * inverse
                    above += tl.sum(tl.where(x > cut, tl.exp(x), 0.0), 0)
                enough = above >= top_p * all_mass
                low = tl.where(enough, cut, low)
                high = tl.where(enough, high, cut)
            least = low
        seed = tl.load(seeds + row).to(tl.uint32, bitcast=True)
        key = _mix(seed + tl.full([], 0x9E3779B9, tl.uint32) + (position + 1).to(tl.uint32))
        most = tl.full([BLOCK], float("-inf"), tl.float32)
        chosen = tl.full([BLOCK], float("-inf"), tl.float32)
        at = tl.zeros([BLOCK], tl.int32)
        for start in range(0, vocabulary, BLOCK):
            real = start + i < vocabulary
            x = tl.load(line + start + i, mask=real, other=float("-inf")).to(tl.float32)
            word = _mix((start + i).to(tl.uint32) * tl.full([], 0x9E3779B9, tl.uint32) ^ key)
            u = ((word >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07
            scaled = (x - top) * inverse
            noisy = tl.where(real & (scaled >= least), scaled - tl.log(-tl.log(u)), float("-inf"))
            higher = noisy > most
            at = tl.where(higher, start + i, at)
            chosen = tl.where(higher, x, chosen)
            most = tl.maximum(most, noisy)
        best = tl.max(most, 0)
        token = tl.min(tl.where(most == best, at, 2147483647), 0)
        score = tl.max(tl.where((most == best) & (at == token), chosen, float("-inf")), 0)
    tl.store(drawn + row, token)
    tl.store(logprobs + row, score - top - tl.log(mass))
    if ADVANCE:
        tl.store(tokens + row, token)
        tl.store(positions + row, position + 1)


def draw(
    logits: torch.Tensor,
    temperatures: torch.Tensor,
    top_ps: torch.Tensor,
    seeds: torch.Tensor,
    positions: torch.Tensor,
    tokens: torch.Tensor,
    drawn: torch.Tensor,
    logprobs: torch.Tensor,
    advance: bool,
) -> None:
    """logits [rows, vocabulary]; the rest [rows]. positions: of the token that gave the logits; -1: nothing is drawn.

    drawn and logprobs are filled; with `advance` so are tokens, and positions are counted on. seeds: the state of
    noise_key before the position is mixed in (sampling.seed_word). Equals at a nucleus' end are all in."""
    rows, vocabulary = logits.shape
    _draw[(rows,)](
        logits, temperatures, top_ps, seeds, positions, tokens, drawn, logprobs, vocabulary, logits.stride(0),
        ADVANCE=advance, HALVINGS=24, BLOCK=4096, num_warps=16, EARLY=EARLY, **LAUNCH,
    )  # fmt: skip
