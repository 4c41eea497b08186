"""A directory of models under their names, each with its manifest: what `wxops model add` fills and others read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wxruntime.checkpoint import CheckpointError, Weights, look_into, read_checkpoint
from wxruntime.models.digests import threads
from wxruntime.models.errors import ModelError
from wxruntime.models.manifest import (
    EVALUATION,
    MANIFEST,
    SIGNATURE,
    FileEntry,
    Manifest,
    describe,
    now,
    read_manifest,
    write_manifest,
)
from wxruntime.models.precision import precision_of
from wxruntime.models.signature import sign
from wxruntime.models.tree import linked_files

log = logging.getLogger("wxruntime")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Weights in formats that run code when they are read; nothing here reads them, so they are not copied."""
CHUNK = 8 << 20


def default_store() -> Path:
    """$WXOPS_MODELS, else wxops/models where the user keeps data."""
    if named := os.environ.get("WXOPS_MODELS"):
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share", "wxops", "models")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as `list` shows it. fault: why it cannot be read, empty when it can."""

    name: str
    directory: Path
    architecture: str = ""
    precision: str = ""
    size: int = 0
    files: int = 0
    created: str = ""
    signed: bool = False
    evaluated: bool = False
    fault: str = ""


class Store:
    """Models under `root`, which may not be there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, source: Path, name: str | None = None, key: Path | None = None) -> Path:
        """Copy a checkpoint in, whole or not at all, with its manifest; its directory. Raise ModelError.

        Where the source has a manifest, every byte must be as that says, and its signature comes along.
        """
        target = self.root / checked_name(name or source.resolve().name)
        if target.exists():
            raise ModelError("there is a model of this name", where=target, fix="choose another --name, or remove it")
        require_checkpoint(source)
        copy_model(source, target, key)
        return target

    def find(self, named: str) -> Path:
        """The directory of a model by its name, or a directory by its path. Raise ModelError where there is neither."""
        here, kept = Path(named), self.root / named
        in_store = bool(NAME.fullmatch(named)) and kept.is_dir()
        if here.is_dir() and in_store and not here.samefile(kept):
            raise ModelError(
                f"{named!r} is a directory here and a model of {self.root}", fix=f"say which: ./{named} or {kept}"
            )
        if here.is_dir() or in_store:
            return here if here.is_dir() else kept
        known = ", ".join(entry.name for entry in self.entries()) or "none"
        raise ModelError(
            f"{named!r} is neither a directory nor a model of {self.root} (there: {known})",
            fix="name one of them, or add it with `wxops model add DIRECTORY`",
        )

    def entries(self) -> Iterator[Entry]:
        """By name; one that cannot be read has its fault."""
        if self.root.is_dir():
            for directory in sorted(self.root.iterdir()):
                if directory.is_dir() and not directory.name.startswith("."):
                    yield look_at(directory)


def checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no name for a model", fix="use letters, digits, '.', '_' and '-': --name NAME")
    return name


def require_checkpoint(source: Path, *, described: bool = True) -> None:
    """Raise ModelError unless it is an ERNIE 4.5 with safetensors or, as exported, ONNX weights.

    described: it must be as its manifest says, where it has one.
    """
    weights: Weights = "onnx" if (source / "model.onnx").is_file() else "safetensors"
    try:
        read_checkpoint(source, weights=weights) if described else look_into(source, weights)
    except CheckpointError as error:
        raise ModelError(str(error)) from None


def look_at(directory: Path) -> Entry:
    entry = Entry(directory.name, directory)
    try:
        config = json.loads((directory / "config.json").read_bytes())
        manifest = read_manifest(directory)
    except ModelError as error:
        return replace(entry, fault=error.what)
    except (OSError, ValueError) as error:
        return replace(entry, fault=f"config.json cannot be read: {error}")
    if manifest is None:
        return replace(entry, fault=f"there is no {MANIFEST}")
    return replace(
        entry,
        architecture=str(config.get("model_type", "")),
        precision=precision_name(config),
        size=manifest.size,
        files=len(manifest.files),
        created=manifest.created,
        signed=(directory / SIGNATURE).is_file(),
        evaluated=(directory / EVALUATION).is_file(),
    )


def precision_name(config: Mapping[str, Any]) -> str:
    """fp8, int8, int4, onnx-int4 and so on, else the type of the weights."""
    if exported := config.get("wxruntime_onnx"):
        return f"onnx-{exported.get('precision')}"
    try:
        rounded = precision_of(config)
    except ValueError:
        return "other"
    return rounded.name if rounded else str(config.get("dtype") or config.get("torch_dtype") or "unknown")


def describe_in_place(directory: Path, key: Path | None = None) -> Manifest:
    """Write the manifest of a checkpoint where it lies, and sign it. Raise ModelError for what is no checkpoint."""
    require_checkpoint(directory, described=False)
    manifest = describe(directory, directory.resolve().name)
    write_manifest(directory, manifest)
    if key is not None:
        sign(directory, key)
    return manifest


def copy_model(source: Path, target: Path, key: Path | None = None) -> Manifest:
    """Copy a model directory and check it on the way against its manifest, or make one. Raise ModelError."""
    known = read_manifest(source)
    files = linked_files(source) if known is None else {path: entry.size for path, entry in known.files.items()}
    left_out = [] if known else sorted(path for path in files if path.endswith(PICKLES))
    for path in left_out:
        del files[path]
    if left_out:
        log.warning("not copied, since weights in this format are never loaded: %s", ", ".join(left_out))
    target.parent.mkdir(parents=True, exist_ok=True)
    _require_room(target.parent, sum(files.values()))
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as unfinished:
        whole = Path(unfinished, "whole")
        copied = _copy_files(source, whole, files)
        manifest = Manifest(target.name, now(), copied) if known is None else known
        for path, entry in manifest.files.items():
            if copied[path] != entry:
                raise ModelError(
                    "is not as its manifest says", where=source / path, fix="copy it again from where it came"
                )
        if known is None:
            write_manifest(whole, manifest)
        else:
            shutil.copyfile(source / MANIFEST, whole / MANIFEST)  # byte for byte, as it was signed
            if (source / SIGNATURE).is_file():
                shutil.copyfile(source / SIGNATURE, whole / SIGNATURE)
        if key is not None:
            sign(whole, key)
        whole.rename(target)
    return manifest


def _copy_files(source: Path, whole: Path, files: Mapping[str, int]) -> dict[str, FileEntry]:
    """What was really written: size and digest of the bytes that went by."""

    def copy(path: str) -> FileEntry:
        digest, size = hashlib.sha256(), 0
        to = whole / path
        to.parent.mkdir(parents=True, exist_ok=True)
        with (source / path).open("rb") as reader, to.open("wb") as writer:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
                writer.write(chunk)
                size += len(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        return FileEntry(size, digest.hexdigest())

    order = sorted(files, key=lambda path: -files[path])
    whole.mkdir(parents=True)
    try:
        with ThreadPoolExecutor(threads()) as pool:
            return dict(zip(order, pool.map(copy, order), strict=True))
    except OSError as error:
        raise ModelError(f"cannot be copied to {whole.parent.parent}: {error.strerror}", where=error.filename) from None


def _require_room(directory: Path, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size:
        raise ModelError(
            f"{size / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free",
            where=directory,
            fix="make room, name another --store, or describe the model where it lies: --in-place",
        )
