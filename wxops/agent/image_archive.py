"""Images as files: what a `docker save` archive holds, told without loading it."""

from __future__ import annotations

import json
import re
import tarfile
from typing import TYPE_CHECKING

from wxops.agent.docker_images import normalized
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, BinaryIO, List, Set

DIGEST = re.compile(r"([0-9a-f]{64})")


class Archive:
    """The one image of an archive: its names, and the ids that an engine may give it.

    An id is the digest of the configuration, or, with containerd's image store, that of the manifest.
    """

    def __init__(self, names: List[str], ids: Set[str]) -> None:
        self.names, self.ids = names, ids


def read_archive(file: BinaryIO, shown: str) -> Archive:
    """Raises ModuleFailure for what is no archive of exactly one image."""
    try:
        with tarfile.open(fileobj=file) as archive:
            images = _member(archive, "manifest.json")
            has_index = "index.json" in archive.getnames()
            index = _member(archive, "index.json") if has_index else {}
    except (tarfile.TarError, KeyError, ValueError, EOFError):
        raise ModuleFailure("%s is no archive of an image; `docker save` makes one" % shown) from None
    if len(images) != 1:
        raise ModuleFailure("%s holds %d images; one task loads one image" % (shown, len(images)))
    digests = DIGEST.findall(images[0]["Config"]) + DIGEST.findall(json.dumps(index.get("manifests", [])))
    names = [normalized(name) for name in images[0].get("RepoTags") or ()]
    return Archive(names, {"sha256:" + digest for digest in digests})


def _member(archive: tarfile.TarFile, name: str) -> Any:
    found = archive.extractfile(name)
    return json.loads(found.read().decode("utf-8")) if found else {}
