"""Whether a model directory is still what its manifest says."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wxruntime.models.digests import hash_files
from wxruntime.models.errors import ModelError
from wxruntime.models.manifest import MANIFEST, NOT_LISTED, Manifest, read_manifest
from wxruntime.models.signature import require_signature
from wxruntime.models.tree import Stray, walk

log = logging.getLogger("wxruntime")

IF_MEANT = "if the change is meant, `wxops model add --in-place` describes the directory anew"
AGAIN = f"copy it again from where it came; {IF_MEANT}"
SHOWN = 5


class Check(StrEnum):
    """How much of each file is compared."""

    DIGESTS = "digests"
    SIZES = "sizes"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a directory must show before it is served.

    check:        sizes alone are for models so large that reading them twice takes too long.
    manifest:     a directory without a manifest is refused.
    trusted_keys: files with public keys; the manifest must be signed by one of them. Implies `manifest`.
    """

    check: Check = Check.DIGESTS
    manifest: bool = False
    trusted_keys: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not as the manifest says."""

    path: str
    what: str
    fix: str


def require(directory: Path, trust: Trust) -> Manifest | None:
    """The manifest, after all that it says was found true; None where there is none and none is demanded.

    Raise ModelError, which names the files.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        if trust.manifest or trust.trusted_keys:
            raise no_manifest(directory)
        log.warning("%s has no %s: its files are not checked", directory, MANIFEST)
        return None
    if trust.trusted_keys:
        require_signature(directory, trust.trusted_keys)
    started = time.monotonic()
    if faults := list(compare(directory, manifest, trust.check)):
        raise _refused(directory, faults)
    seconds = time.monotonic() - started
    how = "sizes only, contents were not read" if trust.check is Check.SIZES else "SHA-256"
    log.info("%s: %d files as in the manifest (%s), %.1f s", directory, len(manifest.files), how, seconds)
    return manifest


def compare(directory: Path, manifest: Manifest, check: Check = Check.DIGESTS) -> Iterator[Fault]:
    """Every fault: files that are missing, extra, of another length or content, links that lead out."""
    found: dict[str, int] = {}
    for each in walk(directory):
        if isinstance(each, Stray):
            yield Fault(each.path, each.what, each.fix)
            found[each.path] = -1
        else:
            found[each[0]] = each[1]
    yield from _missing_and_extra(manifest, found)
    same_size: dict[str, int] = {}
    for path, entry in sorted(manifest.files.items()):
        size = found.get(path, -1)
        if size == entry.size:
            same_size[path] = size
        elif size >= 0:
            yield Fault(path, f"has {size} bytes, its manifest says {entry.size}", AGAIN)
    if check is Check.DIGESTS:
        for path, digest in sorted(hash_files(directory, same_size).items()):
            if digest != manifest.files[path].sha256:
                yield Fault(path, "is damaged: its SHA-256 is not the manifest's", AGAIN)


def _missing_and_extra(manifest: Manifest, found: Collection[str]) -> Iterator[Fault]:
    for path in sorted(set(manifest.files) - set(found)):
        yield Fault(path, "is missing", AGAIN)
    for path in sorted(set(found) - set(manifest.files) - NOT_LISTED):
        yield Fault(path, "is not in the manifest", f"remove it; {IF_MEANT}")


def no_manifest(directory: Path) -> ModelError:
    return ModelError(f"there is no {MANIFEST}, and one is demanded", where=directory, fix=_DESCRIBE)


def _refused(directory: Path, faults: list[Fault]) -> ModelError:
    first, *others = faults
    named = ", ".join(dict.fromkeys(fault.path for fault in others[:SHOWN]))
    more = f" (and {len(others)} more: {named}{', ...' if len(others) > SHOWN else ''})" if others else ""
    return ModelError(first.what + more, where=directory / first.path, fix=first.fix)


_DESCRIBE = (
    "write it where you trust the files: `wxops model add --in-place DIRECTORY`, with --sign KEY for a signature"
)
