"""Image references, registries' logins and archives are read as Docker reads them."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

import pytest

from wxops.agent.docker_images import login_header, normalized, registry_of, split_reference, stored_login
from wxops.agent.failure import ModuleFailure
from wxops.agent.image_archive import read_archive
from wxops.agent.resources.image import _kept_name

DIGEST = "sha256:" + "a" * 64

REFERENCES = [
    ("web", ("web", "latest", ""), "web:latest"),
    ("web:1", ("web", "1", ""), "web:1"),
    ("10.0.0.1:5000/team/web", ("10.0.0.1:5000/team/web", "latest", ""), "10.0.0.1:5000/team/web:latest"),
    ("10.0.0.1:5000/web:v1.2", ("10.0.0.1:5000/web", "v1.2", ""), "10.0.0.1:5000/web:v1.2"),
    (f"localhost/web@{DIGEST}", ("localhost/web", "", DIGEST), f"localhost/web@{DIGEST}"),
    (f"web:1@{DIGEST}", ("web", "1", DIGEST), f"web@{DIGEST}"),
]


@pytest.mark.parametrize(("name", "parts", "normal"), REFERENCES)
def test_references(name: str, parts: tuple[str, str, str], normal: str) -> None:
    assert split_reference(name) == parts
    assert normalized(name) == normal
    assert normalized(normal) == normal


@pytest.mark.parametrize("name", ["", " web", "https://example.com/web"])
def test_what_is_no_reference_is_refused(name: str) -> None:
    with pytest.raises(ModuleFailure, match="no image's name"):
        split_reference(name)


HUB = "https://index.docker.io/v1/"


@pytest.mark.parametrize(
    ("name", "registry"),
    [("web", HUB), ("team/web:1", HUB), ("example.com/web", "example.com"), ("10.0.0.1:5000/a/b", "10.0.0.1:5000"),
     ("localhost/web", "localhost")],
)  # fmt: skip
def test_a_reference_names_its_registry(name: str, registry: str) -> None:
    assert registry_of(name) == registry


def test_a_login_travels_in_a_header() -> None:
    header = login_header("example.com/web", {"username": "u", "password": "p"})["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(header)) == {
        "username": "u",
        "password": "p",
        "serveraddress": "example.com",
    }
    assert login_header("example.com/web", None) == {}


def test_what_docker_login_left_on_the_host_counts() -> None:
    config = {"auths": {"example.com": {"auth": base64.b64encode(b"u:p:q").decode()}, "other.com": {}}}
    text = json.dumps(config).encode()
    assert stored_login(text, "example.com/web") == {"username": "u", "password": "p:q"}
    for nothing in (stored_login(text, "other.com/web"), stored_login(text, "web"), stored_login(None, "web"),
                    stored_login(b"not json", "web")):  # fmt: skip
        assert nothing is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [("10.0.0.1:5000/Team/web:1", "wxops-kept/10-0-0-1-5000/team/web-1:run-123456"),
     (f"example.com/web@{DIGEST}", "wxops-kept/example-com/web:run-123456")],
)  # fmt: skip
def test_the_name_that_keeps_an_image_is_one_that_docker_takes(name: str, kept: str) -> None:
    assert _kept_name(name, "run-123456") == kept


def archive(**members: Any) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, value in members.items():
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    file.seek(0)
    return file


def test_an_archive_tells_its_image_without_being_loaded() -> None:
    config = "b" * 64
    old = read_archive(archive(manifest_json=[{"Config": config + ".json", "RepoTags": ["web"]}]), "old.tar")
    assert (old.names, old.ids) == (["web:latest"], {"sha256:" + config})
    new = read_archive(
        archive(
            manifest_json=[{"Config": "blobs/sha256/" + config, "RepoTags": ["web:1"]}],
            index_json={"manifests": [{"digest": DIGEST}]},
        ),
        "new.tar",
    )
    assert (new.names, new.ids) == (["web:1"], {"sha256:" + config, DIGEST})


@pytest.mark.parametrize(
    ("file", "reason"),
    [(archive(manifest_json=[{}, {}]), "holds 2 images"), (archive(other_json={}), "no archive"),
     (io.BytesIO(b"text"), "no archive")],
)  # fmt: skip
def test_what_is_no_archive_of_one_image_is_refused(file: io.BytesIO, reason: str) -> None:
    with pytest.raises(ModuleFailure, match=reason):
        read_archive(file, "x.tar")
