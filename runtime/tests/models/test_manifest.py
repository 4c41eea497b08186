"""A model directory that is not what its manifest says is refused, with the file's name and what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wxruntime.models.errors import ModelError
from wxruntime.models.manifest import EVALUATION, MANIFEST, SIGNATURE, describe, read_manifest, write_manifest
from wxruntime.models.signature import sign
from wxruntime.models.verify import Check, Trust, compare, require


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory of the shape of a model's, with its manifest."""
    directory = tmp_path / "model"
    (directory / "extras").mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "model-1.safetensors").write_bytes(bytes(range(256)) * 4096)
    (directory / "model-2.safetensors").write_bytes(b"")
    (directory / "extras" / "说明.md").write_text("说明")
    write_manifest(directory, describe(directory, "model"))
    return directory


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_by_link(path: Path, target: str | Path) -> None:
    path.unlink()
    path.symlink_to(target)


def test_an_untouched_directory_is_taken(model: Path) -> None:
    manifest = require(model, Trust(manifest=True))
    assert manifest is not None and manifest.name == "model" and manifest.size == 256 * 4096 + 2 + 6
    assert sorted(manifest.files) == ["config.json", "extras/说明.md", "model-1.safetensors", "model-2.safetensors"]


def test_the_manifest_can_be_checked_with_sha256sum(model: Path) -> None:
    files = json.loads((model / MANIFEST).read_text())["files"]
    lines = "".join(f"{entry['sha256']}  {path}\n" for path, entry in files.items())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], input=lines, text=True, cwd=model, check=True)


WEIGHTS = "model-1.safetensors"


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (lambda at: flip_a_bit(at / WEIGHTS), WEIGHTS, "is damaged"),
        (lambda at: (at / "config.json").unlink(), "config.json", "is missing"),
        (lambda at: shutil.rmtree(at / "extras"), "extras/说明.md", "is missing"),
        (lambda at: (at / "new.py").write_text("x"), "new.py", "is not in the manifest"),
        (lambda at: (at / ".hidden").write_text("x"), ".hidden", "is not in the manifest"),
        (lambda at: os.truncate(at / WEIGHTS, 5), WEIGHTS, "has 5 bytes, its manifest says 10"),
        (lambda at: replace_by_link(at / "config.json", "/etc/hosts"), "config.json", "is a link out of the dir"),
        (lambda at: replace_by_link(at / "config.json", "nowhere"), "config.json", "is a link to nowhere, which"),
        (lambda at: (at / "all").symlink_to("."), "all", "is not a regular file"),
        (lambda at: os.mkfifo(at / "pipe"), "pipe", "is not a regular file"),
    ],
)  # fmt: skip
def test_a_change_is_refused_by_the_files_name(
    model: Path, damage: Callable[[Path], object], file: str, says: str
) -> None:
    damage(model)
    with pytest.raises(ModelError) as refused:
        require(model, Trust())
    assert refused.value.where == model / file and says in refused.value.what and refused.value.fix


def test_every_fault_is_found_at_once(model: Path) -> None:
    flip_a_bit(model / "model-1.safetensors")
    (model / "config.json").unlink()
    (model / "new.py").touch()
    manifest = read_manifest(model)
    assert manifest is not None
    faults = {fault.path for fault in compare(model, manifest)}
    assert faults == {"model-1.safetensors", "config.json", "new.py"}
    with pytest.raises(ModelError, match=r"and 2 more: "):
        require(model, Trust())


def test_a_link_inside_the_directory_is_its_file(model: Path) -> None:
    (model / "config.json").rename(model / "extras" / "config.json")
    (model / "config.json").symlink_to("extras/config.json")
    write_manifest(model, describe(model, "model"))
    assert require(model, Trust())


def test_sizes_alone_find_what_is_cut_but_no_flipped_bit_and_the_log_says_so(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    flip_a_bit(model / "model-1.safetensors")
    assert require(model, Trust(check=Check.SIZES))
    assert "sizes only, contents were not read" in caplog.text
    os.truncate(model / "model-1.safetensors", 5)
    with pytest.raises(ModelError, match="has 5 bytes"):
        require(model, Trust(check=Check.SIZES))


def test_a_directory_without_a_manifest_is_taken_with_a_warning_unless_one_is_demanded(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / MANIFEST).unlink()
    assert require(model, Trust()) is None
    assert "its files are not checked" in caplog.text
    with pytest.raises(ModelError, match="one is demanded"):
        require(model, Trust(manifest=True))


def test_an_evaluation_may_be_written_beside_the_manifest(model: Path) -> None:
    (model / EVALUATION).write_text("{}")
    assert require(model, Trust())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"version": 2}',
        '{"version": 1, "name": "x", "created": "", "files": []}',
        '{"version": 1, "name": "x", "created": "", "files": {"a": 1}}',
        '{"version": 1, "name": "x", "created": "", "files": {"a": {"size": -1, "sha256": "%s"}}}' % ("0" * 64),
        '{"version": 1, "name": "x", "created": "", "files": {"../a": {"size": 1, "sha256": "%s"}}}' % ("0" * 64),
        '{"version": 1, "name": "x", "created": "", "files": {"/etc/a": {"size": 1, "sha256": "%s"}}}' % ("0" * 64),
    ],
)
def test_a_manifest_that_is_none_is_refused(model: Path, text: str) -> None:
    (model / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="the manifest cannot be read"):
        require(model, Trust())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ours and other from openssl, ssh from ssh-keygen; each with its .pub."""
    at = tmp_path_factory.mktemp("keys")
    for name in ("ours", "other"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", at / name], check=True)
        subprocess.run(["openssl", "pkey", "-in", at / name, "-pubout", "-out", at / f"{name}.pub"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at / "ssh"], check=True)
    subprocess.run(["openssl", "genpkey", "-algorithm", "x25519", "-out", at / "x25519"], check=True)
    return at


def test_a_model_signed_by_a_trusted_key_is_taken(model: Path, keys: Path) -> None:
    for name in ("ours", "ssh"):
        sign(model, keys / name)
        assert require(model, Trust(trusted_keys=(keys / "other.pub", keys / f"{name}.pub")))


def test_openssl_verifies_the_signature(model: Path, keys: Path) -> None:
    sign(model, keys / "ours")
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys / "ours.pub", "-rawin"]
    subprocess.run([*command, "-in", model / MANIFEST, "-sigfile", model / SIGNATURE], check=True, capture_output=True)


def describe_anew(at: Path, keys: Path) -> None:
    """What an intruder would do: change a file, and let the manifest agree."""
    (at / "config.json").write_text("[]")
    signature = (at / SIGNATURE).read_bytes()
    write_manifest(at, describe(at, "model"))
    (at / SIGNATURE).write_bytes(signature)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda at, keys: (at / SIGNATURE).unlink(), "the manifest is not signed"),
        (lambda at, keys: (at / MANIFEST).unlink(), "one is demanded"),
        (lambda at, keys: sign(at, keys / "other"), "of none of the trusted keys"),
        (lambda at, keys: (at / SIGNATURE).write_bytes(b""), "of none of the trusted keys"),
        (describe_anew, "the manifest was changed after it was signed"),
        (lambda at, keys: flip_a_bit(at / "model-1.safetensors"), "is damaged"),
    ],
)
def test_where_a_signature_is_demanded_nothing_else_will_do(
    model: Path, keys: Path, change: Callable[[Path, Path], object], says: str
) -> None:
    sign(model, keys / "ours")
    change(model, keys)
    with pytest.raises(ModelError, match=says):
        require(model, Trust(trusted_keys=(keys / "ours.pub",)))


@pytest.mark.parametrize(
    ("key", "says"),
    [("nowhere", "cannot be read"), ("ours.pub", "not a private key"), ("x25519", "not an Ed25519 key")],
)
def test_a_key_that_cannot_sign_is_refused(model: Path, keys: Path, key: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        sign(model, keys / key)


def test_a_private_key_is_no_trusted_key(model: Path, keys: Path) -> None:
    sign(model, keys / "ours")
    with pytest.raises(ModelError, match="give the public one"):
        require(model, Trust(trusted_keys=(keys / "ours",)))
