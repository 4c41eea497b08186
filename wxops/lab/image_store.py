"""An image as files that any registry takes: manifest and compressed layers, kept when engine and registry are gone.

Pushing it is copying those files, so a fresh lab's registry has the image in a second, with no Docker engine.
The formats are those of the OCI distribution specification 1.1 and Docker's image manifest, version 2, schema 2.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import posixpath
import shutil
import ssl
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from wxops.errors import LabError

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
TRUSTED = Path("/etc/docker/certs.d")
COMPRESSION = 3  # of 9: on PyTorch's libraries 6 takes twice as long and saves 7 %


@dataclass(frozen=True)
class StoredImage:
    """An image in `folder`: manifest.json, and each blob in a file named by its digest."""

    folder: Path

    @property
    def manifest(self) -> bytes:
        return (self.folder / "manifest.json").read_bytes()

    @property
    def digest(self) -> str:
        return _digest(self.manifest)

    @property
    def blobs(self) -> list[dict[str, Any]]:
        """Descriptor of the configuration and of each layer: mediaType, size in bytes, digest."""
        manifest = json.loads(self.manifest)
        return [manifest["config"], *manifest["layers"]]

    @property
    def transfer_size(self) -> int:
        """Bytes that a host pulls which has none of the layers."""
        return sum(blob["size"] for blob in self.blobs)


class _Chunks(io.RawIOBase):
    """An iterator of chunks as the file that tarfile reads; it copes with any size of read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int = -1) -> bytes:
        return next(self._chunks, b"")


def store_image(archive: Iterator[bytes], folder: Path) -> StoredImage:
    """Write the one image in the chunks of `docker save` into the new folder `folder`."""
    folder.mkdir(parents=True)
    layers: dict[str, dict[str, Any]] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=_Chunks(archive), mode="r|") as saved:
        for member in saved:
            content = saved.extractfile(member) if member.isfile() else None
            if member.issym():  # a layer that the image has twice
                layers[member.name] = layers[posixpath.normpath(f"{member.name}/../{member.linkname}")]
            elif content and member.name.endswith("layer.tar"):
                layers[member.name] = _compress(content, folder)
            elif content:
                documents[member.name] = content.read()
    (listed,) = json.loads(documents["manifest.json"])
    config = documents[listed["Config"]]
    (folder / _digest(config)).write_bytes(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "size": len(config), "digest": _digest(config)},
        "layers": [layers[name] for name in listed["Layers"]],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    return StoredImage(folder)


def _compress(layer: IO[bytes], folder: Path) -> dict[str, Any]:
    """A layer's descriptor; the compressed layer is then in `folder`. Equal layers give equal files."""
    partial = folder / "partial"
    with partial.open("wb") as output, gzip.GzipFile("", "wb", COMPRESSION, output, mtime=0) as compressed:
        shutil.copyfileobj(layer, compressed, 1 << 20)
    with partial.open("rb") as written:
        digest = f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"
    size = partial.stat().st_size
    partial.rename(folder / digest)
    return {"mediaType": LAYER_TYPE, "size": size, "digest": digest}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_image(image: StoredImage, registry: str, name: str) -> str:
    """Have `registry` (HOST:PORT) hold the image; the reference `registry/name@digest`. What it has is not sent again.

    It is spoken to as a Docker engine on this machine would: over TLS when a certificate for it is in TRUSTED.
    """
    remote = _Remote(registry, f"/v2/{name}")
    manifest = f"{remote.path}/manifests/{image.digest}"
    if remote.request("HEAD", manifest, {"Accept": MANIFEST_TYPE}).status != 200:
        for blob in image.blobs:
            remote.upload(image.folder / blob["digest"], blob["digest"])
        remote.expect(201, "PUT", manifest, {"Content-Type": MANIFEST_TYPE}, image.manifest)
    return f"{registry}/{name}@{image.digest}"


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class _Remote:
    """One repository of a registry."""

    registry: str
    path: str

    def upload(self, file: Path, digest: str) -> None:
        if self.request("HEAD", f"{self.path}/blobs/{digest}").status == 200:
            return
        opened = urlsplit(self.expect(202, "POST", f"{self.path}/blobs/uploads/").headers["Location"])
        query = f"{opened.query}&digest={digest}".removeprefix("&")
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
        with file.open("rb") as content:
            self.expect(201, "PUT", f"{opened.path}?{query}", headers, content)

    def expect(self, status: int, method: str, path: str, *rest: Any) -> _Answer:
        answer = self.request(method, path, *rest)
        if answer.status != status:
            said = answer.body[:500].decode(errors="replace")
            raise LabError(f"The registry answered {method} with {answer.status}: {said}", where=self.registry + path)
        return answer

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | IO[bytes] | None = None
    ) -> _Answer:
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request(method, path, body, dict(headers or {}))
                answer = connection.getresponse()
                return _Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"The registry cannot be reached: {error}", where=self.registry) from error

    def _connection(self) -> http.client.HTTPConnection:
        certificate = TRUSTED / self.registry / "ca.crt"
        if not certificate.exists():
            return http.client.HTTPConnection(self.registry, timeout=60)
        trust = ssl.create_default_context(cafile=str(certificate))
        return http.client.HTTPSConnection(self.registry, timeout=60, context=trust)
