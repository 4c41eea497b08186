"""What the card gives: memory read, bf16 and FP8 products of random matrices."""

from __future__ import annotations

import torch
from points import tell
from triton.testing import do_bench


def seconds(work: object) -> float:
    return float(do_bench(work, warmup=50, rep=300, return_mode="median")) * 1e-3


def main() -> None:
    words = torch.randint(0, 2**31 - 1, (1 << 30,), dtype=torch.int32, device="cuda")
    read = words.numel() * 4 / seconds(lambda: torch.amax(words))
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    bf16 = 2 * 8192**3 / seconds(lambda: a @ b)
    a8, b8 = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()
    one = torch.ones((), device="cuda")
    fp8 = 2 * 8192**3 / seconds(lambda: torch._scaled_mm(a8, b8, one, one, out_dtype=torch.bfloat16))
    properties = torch.cuda.get_device_properties(0)
    tell("card", properties.name, "rates", read=read, bf16=bf16, fp8=fp8, torch=torch.__version__)


main()
