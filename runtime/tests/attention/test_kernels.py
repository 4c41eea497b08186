"""The Triton kernels compute what plain PyTorch does, across lengths, page borders and head ratios.

They run on a GPU, or on a CPU by Triton's interpreter, as `make test` runs them: with TRITON_INTERPRET=1 set.
"""

import os

import pytest
import torch

from wxruntime.attention import reference

GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

pytestmark = pytest.mark.skipif(
    not GPU and not INTERPRETED, reason="without a GPU set TRITON_INTERPRET=1, as `make test` does"
)

if GPU or INTERPRETED:
    from wxruntime.attention import ops

DEVICE = torch.device("cuda" if GPU else "cpu")
# heads, key heads: 0.3B, 7B, 21B-A3B, and one key head for each head.
RATIOS = [(16, 2), (32, 8), (20, 4), (4, 4)] if GPU else [(8, 1), (5, 1), (4, 2)]
WIDTH, PAGE = (128, 64) if GPU else (16, 16)
KINDS = [torch.float32, torch.bfloat16] if GPU else [torch.float32]
PAGES = 40


def near(got: torch.Tensor, true: torch.Tensor) -> bool:
    tolerance = 1e-5 if got.dtype == torch.float32 else 4e-3
    return bool((got.float() - true.float()).norm() <= tolerance * true.float().norm())


def cache(kv_heads: int, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (PAGES * PAGE, kv_heads, WIDTH)
    return torch.randn(shape, device=DEVICE, dtype=kind), torch.randn(shape, device=DEVICE, dtype=kind)


def words(numbers: list[int]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int32, device=DEVICE)


def pages(rows: int) -> torch.Tensor:
    return torch.randperm(PAGES, device=DEVICE)[: rows * 5].int().view(rows, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "kv_heads"), RATIOS)
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_decode_step_attends_to_all_that_came_before(
    heads: int, kv_heads: int, parts: int, kind: torch.dtype
) -> None:
    keys, values = cache(kv_heads, kind)
    q = torch.randn(8, (heads + 2) * WIDTH, device=DEVICE, dtype=kind)[:, : heads * WIDTH].unflatten(1, (heads, WIDTH))
    positions = words([-1, 0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 5 * PAGE - 1])
    given = q, keys, values, pages(8), positions, PAGE, 0.2, parts
    assert near(ops.attend_decode(*given), reference.attend_decode(*given))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "kv_heads"), RATIOS)
@pytest.mark.parametrize("paged", [True, False], ids=["pages", "slots"])
def test_a_piece_of_prompts_attends_causally(heads: int, kv_heads: int, paged: bool, kind: torch.dtype) -> None:
    keys, values = cache(kv_heads, kind)
    new = [5, 1, 2 * PAGE + 1, PAGE, 1, 0]
    lengths = words([5, 2 * PAGE + 3, 2 * PAGE + 1, 3 * PAGE, 1, 0])
    starts = words([0, *torch.tensor(new).cumsum(0).tolist()])
    tokens = sum(new)
    q = torch.randn(tokens + 3, heads, WIDTH, device=DEVICE, dtype=kind)  # three tokens of padding
    if paged:
        given = q, keys, values, pages(6), starts, None, lengths, PAGE, 0.2
    else:
        k_starts = torch.cat([words([0]), lengths.cumsum(0).int()])
        slots = torch.randperm(PAGES * PAGE, device=DEVICE)[: int(k_starts[-1])]
        given = q, keys, values, slots, starts, k_starts, None, 0, 0.2
    made = tokens if paged else None  # the padding too, which is zeros
    assert near(ops.attend_prefill(*given)[:made], reference.attend_prefill(*given)[:made])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "kv_heads"), RATIOS)
@pytest.mark.parametrize("by_table", [True, False], ids=["table", "slots"])
def test_queries_and_keys_turn_and_keys_and_values_are_stored(
    heads: int, kv_heads: int, by_table: bool, kind: torch.dtype
) -> None:
    keys, values = cache(kv_heads, kind)
    positions = words([-1, 0, PAGE, 3 * PAGE + 1])
    cosines, sines = torch.randn(2, 5 * PAGE, WIDTH // 2, device=DEVICE)
    qkv = torch.randn(4, (heads + 2 * kv_heads) * WIDTH, device=DEVICE, dtype=kind)
    where = (None, pages(4), PAGE) if by_table else (words([7, 90, 3, 41]), None, 0)
    true = [each.clone() for each in (qkv, keys, values)]
    ops.turn_and_store(qkv, cosines, sines, positions, *where, keys, values, heads)
    reference.turn_and_store(true[0], cosines, sines, positions, *where, true[1], true[2], heads)
    assert near(qkv[:, : heads * WIDTH], true[0][:, : heads * WIDTH])
    assert near(keys, true[1])
    assert torch.equal(values, true[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [96, 1024])
def test_norm_and_gate_round_as_transformers(width: int, kind: torch.dtype) -> None:
    x, residual = torch.randn(2, 5, width, device=DEVICE, dtype=kind)
    weight = torch.randn(width, device=DEVICE, dtype=kind)
    assert near(ops.rms_norm(x, weight, 1e-5), reference.rms_norm(x, weight, 1e-5))
    sums = residual.clone(), residual.clone()
    assert near(ops.rms_norm(x, weight, 1e-5, sums[0]), reference.rms_norm(x, weight, 1e-5, sums[1]))
    assert torch.equal(*sums)
    both = torch.randn(5, 2 * width, device=DEVICE, dtype=kind)
    assert near(ops.silu_gate(both), reference.silu_gate(both))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 16, 17, 64])
@pytest.mark.parametrize("tall", [True, False])
@pytest.mark.parametrize("outs", [512, 1000])
def test_a_few_rows_are_multiplied(rows: int, outs: int, tall: bool, kind: torch.dtype) -> None:
    if kind == torch.float32 and GPU:
        pytest.skip("tensor cores round float32: the kernel is for 16 bits, and no float32 model is served with it")
    x = torch.randn(rows, 512, device=DEVICE, dtype=kind)
    weight = torch.randn(outs, 512, device=DEVICE, dtype=kind)
    scale = torch.rand(outs, device=DEVICE)
    tile = (32, 256, 4, 2, tall)
    assert near(ops.skinny(x, weight, None, tile), reference.skinny(x, weight, None, tile))
    assert near(ops.skinny(x, weight, scale, tile), reference.skinny(x, weight, scale, tile))


def test_a_row_is_rounded_to_fp8_by_its_own_magnitude() -> None:
    if not GPU:
        pytest.skip("Triton's interpreter rounds to FP8 in another way than the GPU: shown on a GPU only")
    x = torch.randn(9, 1000, device=DEVICE) * torch.logspace(-3, 3, 9, device=DEVICE)[:, None]
    small, scales = ops.quantize_rows(x)
    assert torch.equal(small.float(), reference.quantize_rows(x)[0].float())
    assert ((small.float() * scales - x).norm(dim=1) < 0.03 * x.norm(dim=1)).all()


def test_a_draw_is_the_same_as_in_plain_pytorch() -> None:
    rows, vocabulary = 12, 103424 if GPU else 9000
    logits = torch.randn(rows, vocabulary, device=DEVICE) * 2
    temperatures = torch.tensor([0.0] * 3 + [0.7] * 3 + [1.0] * 6, device=DEVICE)
    top_ps = torch.tensor([1.0] * 6 + [0.9, 0.5, 0.01, 0.99, 0.9, 0.9], device=DEVICE)
    seeds = torch.randint(-(2**31), 2**31, (rows,), device=DEVICE).int()
    answers = []
    for kind in (ops, reference):
        positions = words([*range(11), -1])
        tokens, drawn, logprobs = words([-7] * rows), words([-7] * rows), torch.zeros(rows, device=DEVICE)
        kind.draw(logits, temperatures, top_ps, seeds, positions, tokens, drawn, logprobs, True)
        answers.append((tokens, drawn, positions, logprobs))
    for got, true in zip(*answers, strict=True):
        assert torch.allclose(got.float(), true.float(), atol=1e-4)
    assert answers[0][0].tolist()[-1] == -7, "a row without a sequence is left alone"
