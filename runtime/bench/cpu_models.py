"""The checkpoints that bench/cpu.py serves: random weights in two shapes, each with its ONNX exports beside it.

Both have a word for each token id, so that every token is text which a server has to send, and a prompt of N words is N
tokens for all of them. The end token's row is zero: no greedy answer ends early, even without an `ignore_eos`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import Ernie4_5Config

# 0.3b is ERNIE-4.5-0.3B's exact shape, which is the default one. small is the tiny test model's with heads of 32, for
# vLLM's attention on CPUs has none of 16: it shows what a server costs, since the model itself takes next to no time.
SHAPES = {
    "small": Ernie4_5Config(
        vocab_size=640,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=160,
        max_position_embeddings=8192,
    ),
    "0.3b": Ernie4_5Config(),
}
PRECISIONS = ("fp32", "int4")
END = 2


def prepare(shape: str, folder: Path) -> Path:
    """The checkpoint of this shape in `folder`, made if it is not there; `exported` names its ONNX forms."""
    directory = folder / shape
    if not directory.exists():
        unfinished = folder / f".{shape}"
        shutil.rmtree(unfinished, ignore_errors=True)
        _write(SHAPES[shape], unfinished)
        unfinished.rename(directory)
    for precision in PRECISIONS:
        if not exported(directory, precision).exists():
            from wxruntime.backends.onnx_export import export_onnx

            export_onnx(directory, exported(directory, precision), precision)  # type: ignore[arg-type]
    return directory


def exported(directory: Path, precision: str) -> Path:
    return directory.with_name(f"{directory.name}-{precision}")


def _write(config: Ernie4_5Config, directory: Path) -> None:
    import torch
    from transformers import Ernie4_5ForCausalLM, GenerationConfig

    torch.manual_seed(0)
    config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, END, 0
    model = Ernie4_5ForCausalLM(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[END] = 0
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=END, pad_token_id=0, do_sample=False)
    model.to(torch.bfloat16).save_pretrained(directory)
    _tokenizer(config.vocab_size, directory)


def _tokenizer(words: int, directory: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": END} | {f"▁w{number}": number for number in range(3, words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    ).save_pretrained(directory)
