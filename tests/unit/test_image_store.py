"""An image kept as files is the same image in any registry: pushed to a real one and read back."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from wxops.errors import LabError
from wxops.lab.image_store import MANIFEST_TYPE, push_image, store_image

CONFIG = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
LAYERS = {"one/layer.tar": b"first layer" * 50_000, "two/layer.tar": b"second layer"}


def saved(twice: bool = False) -> Iterator[bytes]:
    """What `docker save` streams, in chunks of no particular size; `twice` names the first layer a second time."""
    buffer = io.BytesIO()
    names = [*LAYERS, *(["three/layer.tar"] if twice else [])]
    documents = {"config.json": CONFIG, "manifest.json": json.dumps([{"Config": "config.json", "Layers": names}])}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in [*LAYERS.items(), *documents.items()]:
            raw = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
            if twice and name == "one/layer.tar":
                link = tarfile.TarInfo("three/layer.tar")
                link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
                archive.addfile(link)
    whole = buffer.getvalue()
    yield from (whole[start : start + 7919] for start in range(0, len(whole), 7919))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\n{storage}\nhttp: {{addr: '{address}'}}\n")
    process = subprocess.Popen(["docker-registry", "serve", str(config)], stderr=subprocess.DEVNULL)
    try:
        _await_answer(address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await_answer(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def fetched(registry: str, path: str) -> bytes:
    with urlopen(Request(f"http://{registry}/v2/some/image{path}", headers={"Accept": MANIFEST_TYPE})) as answer:
        return bytes(answer.read())


def test_a_pushed_image_is_the_stored_one_to_the_byte(tmp_path: Path, registry: str) -> None:
    image = store_image(saved(), tmp_path / "image")
    reference = push_image(image, registry, "some/image")
    assert reference == f"{registry}/some/image@{image.digest}"
    manifest = fetched(registry, f"/manifests/{image.digest}")
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == image.digest
    config, *layers = [fetched(registry, f"/blobs/{blob['digest']}") for blob in image.blobs]
    assert (config, [gzip.decompress(layer) for layer in layers]) == (CONFIG, list(LAYERS.values()))


def test_a_second_push_sends_nothing(tmp_path: Path, registry: str) -> None:
    image = store_image(saved(), tmp_path / "image")
    reference = push_image(image, registry, "some/image")
    for blob in image.blobs:
        (image.folder / blob["digest"]).unlink()
    assert push_image(image, registry, "some/image") == reference


def test_the_same_archive_gives_the_same_digest(tmp_path: Path) -> None:
    assert store_image(saved(), tmp_path / "a").digest == store_image(saved(), tmp_path / "b").digest


def test_a_layer_that_comes_twice_is_listed_twice(tmp_path: Path) -> None:
    digests = [blob["digest"] for blob in store_image(saved(twice=True), tmp_path / "image").blobs]
    assert digests[1] == digests[3] != digests[2]


def test_a_registry_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    image = store_image(saved(), tmp_path / "image")
    with pytest.raises(LabError, match=r"127\.0\.0\.1:9: The registry cannot be reached"):
        push_image(image, "127.0.0.1:9", "some/image")
