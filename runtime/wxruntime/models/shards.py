"""A checkpoint's tensors one at a time: neither reading nor writing ever holds the whole model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from wxruntime.models.errors import ModelError

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
SHARD_BYTES = 2 << 30


def placed(directory: Path) -> dict[str, str]:
    """Tensor -> file, layer 2 before layer 10."""
    index = directory / INDEX
    if index.is_file():
        weight_map: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
    else:
        with safe_open(directory / SINGLE, framework="pt") as opened:
            weight_map = dict.fromkeys(opened.keys(), SINGLE)
    return dict(sorted(weight_map.items(), key=lambda item: _natural(item[0])))


def tensors(directory: Path, device: str = "cpu") -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor by its name, in the order of `placed`.

    The file is opened anew for each, or else its pages that were read would count as memory until the end.
    """
    for name, file in placed(directory).items():
        with safe_open(directory / file, framework="pt", device=device) as opened:
            tensor = opened.get_tensor(name)
        yield name, tensor


def size_on_disk(directory: Path) -> int:
    """Bytes of the files with weights."""
    return sum((directory / file).stat().st_size for file in set(placed(directory).values()))


class ShardWriter:
    """Writes tensors into files of about `shard_bytes`, and on leaving names them and writes the index.

    Holds the tensors of one file in memory.
    """

    def __init__(self, directory: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._directory, self._shard_bytes = directory, shard_bytes
        self._open: dict[str, torch.Tensor] = {}
        self._waiting = 0
        self._shards: list[list[str]] = []
        self._total = 0

    def add(self, name: str, tensor: torch.Tensor) -> None:
        size = tensor.nbytes
        if self._open and self._waiting + size > self._shard_bytes:
            self._close_shard()
        self._open[name] = tensor.contiguous().cpu()
        self._waiting += size
        self._total += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None:
            return
        self._close_shard()
        if len(self._shards) == 1:
            self._part(0).rename(self._directory / SINGLE)
            return
        weight_map = {}
        for number, names in enumerate(self._shards):
            file = f"model-{number + 1:05}-of-{len(self._shards):05}.safetensors"
            self._part(number).rename(self._directory / file)
            weight_map.update(dict.fromkeys(names, file))
        index = {"metadata": {"total_size": self._total}, "weight_map": weight_map}
        (self._directory / INDEX).write_text(json.dumps(index, indent=1) + "\n")

    def _close_shard(self) -> None:
        try:
            save_file(self._open, self._part(len(self._shards)), metadata={"format": "pt"})
        except SafetensorError as error:
            raise ModelError(f"weights cannot be written: {error}", where=self._directory) from None
        self._shards.append(list(self._open))
        self._open, self._waiting = {}, 0

    def _part(self, number: int) -> Path:
        return self._directory / f"part-{number}.safetensors"


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
