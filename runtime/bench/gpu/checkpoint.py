"""A checkpoint directory with random weights for the server: `checkpoint.py s|m|e DIRECTORY [--no-weights]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shapes import SHAPES, tensors
from tokenizers import Tokenizer, decoders, models

SHARD = 4 << 30


def write_tokenizer(directory: Path, words: int) -> None:
    """A word for each id, so that every token drawn is text that the server has to send."""
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary = special | {f"w{number} ": number for number in range(3, words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(directory / "tokenizer.json"))
    named = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(named))


def write_weights(directory: Path, model: str) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    placed: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    number = 0
    sizes = tensors(model)
    for name, size in sizes.items():
        ones = len(size) == 1
        weight = torch.empty(size, device="cuda", dtype=torch.bfloat16)
        if name.endswith("e_score_correction_bias"):
            weight.zero_()  # so that the experts are chosen by the token alone
        else:
            weight = weight.fill_(1) if ones else weight.normal_(0, 0.02)
        shard[name] = weight.cpu()
        placed[name] = f"model-{number:05}.safetensors"
        if sum(each.nbytes for each in shard.values()) > SHARD or len(placed) == len(sizes):
            save_file(shard, directory / placed[name], {"format": "pt"})
            shard, number = {}, number + 1
    index = {"metadata": {}, "weight_map": placed}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def main(model: str, directory: Path, weights: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(SHAPES[model]))
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    (directory / "generation_config.json").write_text(json.dumps(ids))
    write_tokenizer(directory, SHAPES[model]["vocab_size"])
    if weights:
        write_weights(directory, model)


main(sys.argv[1], Path(sys.argv[2]), "--no-weights" not in sys.argv)
