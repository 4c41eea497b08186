"""The manifest of a model directory: which files it has, how long they are, and their SHA-256.

It is the file wxops-manifest.json in the directory:

    version   1
    name      the model's name, for people
    created   when the manifest was written, UTC, ISO 8601
    origin    where the model came from: {"scheme": "fp8", "from": NAME, "manifest": SHA-256 of that model's manifest}
              for a quantized one, else {}
    files     path in the directory, with "/" -> {"size": bytes, "sha256": hex}

Every file is listed except the manifest itself, its signature and what an evaluation writes beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from wxruntime.models.digests import hash_files
from wxruntime.models.errors import ModelError
from wxruntime.models.tree import regular_files

MANIFEST = "wxops-manifest.json"
SIGNATURE = "wxops-manifest.sig"
EVALUATION = "wxops-eval.json"
NOT_LISTED = frozenset({MANIFEST, SIGNATURE, EVALUATION})
_UNFINISHED = frozenset(f".{name}.new" for name in NOT_LISTED)  # what was killed while it wrote one of them left this
VERSION = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    created: str
    files: Mapping[str, FileEntry]
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    def to_json(self) -> bytes:
        files = {path: {"size": entry.size, "sha256": entry.sha256} for path, entry in sorted(self.files.items())}
        whole = {
            "version": VERSION,
            "name": self.name,
            "created": self.created,
            "origin": dict(self.origin),
            "files": files,
        }
        return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def describe(directory: Path, name: str, origin: Mapping[str, str] | None = None) -> Manifest:
    """The manifest of what lies in `directory` now. Raise ModelError for what none may hold, such as a link out."""
    found = regular_files(directory, NOT_LISTED | _UNFINISHED)
    digests = hash_files(directory, found)
    files = {path: FileEntry(size, digests[path]) for path, size in found.items()}
    return Manifest(name, now(), files, dict(origin or {}))


def now() -> str:
    """As `created` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """In one step; a signature of an earlier manifest goes, since it no longer holds. Raise ModelError."""
    write_whole(directory / MANIFEST, manifest.to_json())
    (directory / SIGNATURE).unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """A file of NOT_LISTED, in one step: what was there before stays where the new one cannot be. Raise ModelError."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise ModelError(f"cannot be written: {error.strerror}", where=path) from None


def add_file(directory: Path, path: str, data: bytes) -> None:
    """Write one more file and let the manifest, which must be there, list it."""
    manifest = read_manifest(directory)
    if manifest is None:
        raise ModelError(f"there is no {MANIFEST}", where=directory)
    (directory / path).write_bytes(data)
    entry = FileEntry(len(data), hashlib.sha256(data).hexdigest())
    write_manifest(directory, replace(manifest, files={**manifest.files, path: entry}))


def manifest_digest(directory: Path) -> str:
    """By which a model made from this one names it; empty where there is no manifest."""
    try:
        return hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def read_manifest(directory: Path) -> Manifest | None:
    """None where there is none. Raise ModelError for one that cannot be what `write_manifest` wrote."""
    path = directory / MANIFEST
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"the manifest cannot be read: {error}",
            where=path,
            fix="copy the model again from where it came, or describe it anew with `wxops model add --in-place`",
        ) from None


def parse(text: bytes) -> Manifest:
    """Raise ValueError, TypeError, KeyError or AttributeError for anything else than a manifest of this version."""
    whole: dict[str, Any] = json.loads(text)
    if whole["version"] != VERSION:
        raise ValueError(f"its version is {whole['version']!r}, known is {VERSION}")
    files = {_inside(path): _entry(entry) for path, entry in whole["files"].items()}
    return Manifest(str(whole["name"]), str(whole["created"]), files, dict(whole.get("origin", {})))


def _inside(path: str) -> str:
    """A manifest is not trusted to name files anywhere else."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\0" in path:
        raise ValueError(f"{path!r} is no path inside the directory")
    return path


def _entry(entry: Mapping[str, Any]) -> FileEntry:
    size, sha256 = entry["size"], entry["sha256"]
    if not isinstance(size, int) or size < 0 or not isinstance(sha256, str) or len(sha256) != 64:
        raise ValueError(f"{entry!r} is not a size and a SHA-256")
    return FileEntry(size, sha256)
