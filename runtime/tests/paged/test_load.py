"""A checkpoint directory becomes a paged backend: as it is, rounded to FP8, or in compressed-tensors' FP8."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM

from wxruntime.attention.linear import Fp8, quantized
from wxruntime.backends.base import Load, Sequence
from wxruntime.backends.paged import _pages, load
from wxruntime.checkpoint import CheckpointError
from wxruntime.models.precision import PRECISIONS
from wxruntime.paged.weights import read_weights
from wxruntime.sampling import Sampling

CONFIG = Ernie4_5Config(
    vocab_size=99,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    intermediate_size=48,
    max_position_embeddings=256,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    model = Ernie4_5ForCausalLM(CONFIG)
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(tmp_path)
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def options(directory: Path, dtype: str = "auto") -> Load:
    return Load(model=directory, device="cpu", dtype=dtype, kv_tokens=512, context_length=128, max_sequences=2)


def answer(settings: Load) -> list[int]:
    backend = load(settings)
    backend.prove()
    backend.admit([Sequence(1, [5, 6, 7], Sampling(12, temperature=0))])
    made: list[int] = []
    while len(made) < 12:
        made += [token for _, token in backend.step().tokens]
    return made


def test_what_was_saved_answers_as_the_model(directory: Path) -> None:
    model = Ernie4_5ForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        for _ in range(12):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    assert answer(options(directory)) == ids[0, 3:].tolist()


def test_an_fp8_checkpoint_answers_as_one_that_is_rounded_while_it_is_loaded(directory: Path) -> None:
    rounded = answer(options(directory, "fp8"))
    weights = load_file(directory / "model.safetensors")
    for name in [name for name in weights if "_proj" in name]:
        small = quantized(weights[name].float())
        assert small.scale is not None
        weights[name], weights[f"{name}_scale"] = small.weight, small.scale[:, None]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    assert isinstance(load(options(directory)).model.weights.layers[0].qkv, Fp8)
    assert answer(options(directory)) == rounded


def test_rounding_to_fp8_keeps_each_channel_within_a_sixteenth() -> None:
    weight = torch.randn(40, 64) * torch.logspace(-3, 2, 40)[:, None]
    small = quantized(weight)
    assert small.scale is not None
    back = small.weight.float() * small.scale[:, None]
    assert ((back - weight).abs() <= weight.abs() / 16 + small.scale[:, None] / 512).all()


def test_a_context_that_the_cache_cannot_hold_is_refused(directory: Path) -> None:
    with pytest.raises(CheckpointError, match="room for 64 tokens, less than a context of 128"):
        load(Load(model=directory, device="cpu", kv_tokens=64, context_length=128))


def test_a_missing_weight_is_named(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks the weight model\.layers\.1\.mlp\.up_proj\.weight"):
        load(options(directory))


def test_without_a_gpu_it_runs_only_where_a_cpu_is_asked_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, says in (("auto", "--backend transformers runs on a CPU"), ("cuda", "no CUDA device")):
        with pytest.raises(CheckpointError, match=says):
            load(Load(model=directory, device=device))


def test_what_its_model_has_not_is_refused_and_not_left_out(directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"use_bias": True}))
    with pytest.raises(CheckpointError, match=r"biases \(use_bias\).*take --backend transformers"):
        load(options(directory))


def test_shards_that_the_index_does_not_name_are_not_read(directory: Path) -> None:
    expected = answer(options(directory))
    weights = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").rename(directory / "part.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "part.safetensors")}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file({name: torch.zeros_like(each) for name, each in weights.items()}, directory / "zeros.safetensors")
    assert answer(options(directory)) == expected


def test_scales_keep_their_type_whatever_the_weights_become(directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    small = quantized(weights[name].float())
    assert small.scale is not None
    save_file(weights | {name: small.weight, f"{name}_scale": small.scale}, directory / "model.safetensors")
    read = read_weights(directory, CONFIG, torch.device("cpu"), torch.bfloat16, False).layers[0].down.scale
    assert read is not None and torch.equal(read, small.scale)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"symmetric": False}, "zero points"),
        ({"actorder": "group"}, "another order"),
        ({"strategy": "block"}, "by block"),
    ],
)
def test_a_rounding_that_needs_more_than_scales_is_refused(
    directory: Path, weights: dict[str, object], says: str
) -> None:
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = PRECISIONS["int4"].config(32, ["lm_head"])
    config["quantization_config"]["config_groups"]["group_0"]["weights"] |= weights
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=says):
        load(options(directory))


def test_longer_steps_leave_less_for_the_cache(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pass over more prompt tokens takes must be there when the first one comes."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (80 * 2**30, 80 * 2**30))
    pages = [
        _pages(Load(model=directory, max_batch_tokens=tokens), 2**20, torch.device("cuda")) for tokens in (2048, 65536)
    ]
    assert pages == [(72 - 3) * 1024, (72 - 3 * 8) * 1024]
