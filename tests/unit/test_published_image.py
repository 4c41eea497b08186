"""An image that is to be deployed is read from its registry: a real one, on this machine."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.audit_examples import RECORD
from tests.unit.image_registry import ImageRegistry, digest_of, image_registry
from wxops.audit import registry as client
from wxops.audit.deployment import with_images
from wxops.audit.image_reference import Reference
from wxops.audit.published_image import published
from wxops.errors import InputError

REQUIRE = "cuda>=13.2 brand=tesla,driver>=580,driver<581"
DIGEST = "sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Docker's config.json is looked for, and the authorities of registries."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(client, "CERTIFICATES", tmp_path / "certs.d")
    return tmp_path


@pytest.fixture
def registry() -> Iterator[ImageRegistry]:
    """It has team/model:1 for both machines, and team/model:old for one."""
    with image_registry() as made:
        fill(made)
        yield made


def fill(registry: ImageRegistry) -> None:
    amd = registry.image("team/model:amd", NVIDIA_REQUIRE_CUDA=REQUIRE, PYTORCH_VERSION="2.13.0", CUDA_VERSION="13.2.1")
    arm = registry.image("team/model:arm", "arm64", NVIDIA_REQUIRE_CUDA="cuda>=13.0")
    registry.index("team/model:1", amd64=amd, arm64=arm)
    registry.image("team/model:old", CUDA_VERSION="11.8.0")


def log_in(folder: Path, address: str, login: str) -> None:
    (folder / "docker").mkdir()
    auths = {address: {"auth": base64.b64encode(login.encode()).decode()}}
    (folder / "docker" / "config.json").write_text(json.dumps({"auths": auths}))


def refused(name: str) -> str:
    with pytest.raises(InputError) as error:
        published(name)
    assert error.value.where and error.value.fix
    return str(error.value)


def test_an_image_is_read_for_each_machine(registry: ImageRegistry) -> None:
    found = published(f"{registry.address}/team/model:1")
    assert found.platforms == ("linux/amd64", "linux/arm64")
    assert found.digest == f"{registry.address}/team/model@{digest_of(registry.content['team/model/manifests/1'])}"
    assert found.environments["linux/amd64"][0] == f"NVIDIA_REQUIRE_CUDA={REQUIRE}"
    assert found.environments["linux/arm64"] == ("NVIDIA_REQUIRE_CUDA=cuda>=13.0",)


def test_an_image_of_one_platform_is_read_too(registry: ImageRegistry) -> None:
    found = published(f"{registry.address}/team/model:old")
    assert (found.platforms, found.environments) == (("linux/amd64",), {"linux/amd64": ("CUDA_VERSION=11.8.0",)})


def test_a_digest_leads_to_its_very_image(registry: ImageRegistry) -> None:
    digest = digest_of(registry.content["team/model/manifests/1"])
    assert published(f"{registry.address}/team/model:moved@{digest}").digest.endswith(digest)
    assert f"/v2/team/model/manifests/{digest}" in registry.asked


def test_only_what_an_image_says_is_read_no_layer(registry: ImageRegistry) -> None:
    published(f"{registry.address}/team/model:1")
    assert len(registry.asked) == 5


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_bytes_of_another_digest_are_refused(registry: ImageRegistry, what: str) -> None:
    digest = digest_of(registry.content["team/model/manifests/old"])
    config = json.loads(registry.content["team/model/manifests/old"])["config"]["digest"]
    wanted = digest if what == "manifests" else config
    registry.answers[f"team/model/{what}/{wanted}"] = b'{"os": "linux", "architecture": "amd64"}'
    assert f"for {wanted}" in refused(f"{registry.address}/team/model@{digest}")


ANSWERS: dict[str, tuple[int | bytes, str]] = {
    "that there is no such tag": (404, "has no team/model with 1"),
    "that nobody may": (403, "lets only logins read it"),
    "that it was asked too often": (429, "asked too often"),
    "that it is broken": (503, "HTTP status 503"),
    "with a page": (b"<html>", "no image of Docker's or OCI's"),
    "with something deep": (b'{"config": ' + b"[" * 100_000, "no image of Docker's or OCI's"),
    "with another file's name as a digest": (b'{"config": {"digest": "../../etc"}}', "no image of Docker's or OCI's"),
    "in an old schema": (b'{"schemaVersion": 1, "fsLayers": []}', "old schema"),
    "with far too much": (b" " * (5 << 20), "more than 4 MiB"),
    "with an image for another system": (
        b'{"manifests": [{"digest": "%s", "platform": {"os": "windows", "architecture": "amd64"}}]}' % DIGEST.encode(),
        "it is there for windows/amd64, and not for linux/amd64 or linux/arm64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ANSWERS)
def test_an_image_that_cannot_be_read_is_refused(registry: ImageRegistry, how: str) -> None:
    registry.answers["team/model/manifests/1"], told = ANSWERS[how]
    assert told in refused(f"{registry.address}/team/model:1")


def test_a_registry_that_does_not_run_is_named() -> None:
    assert "127.0.0.1:1 does not answer: Connection refused" in refused("127.0.0.1:1/team/model:1")


# Logins


def test_a_token_is_asked_for_without_a_login(registry: ImageRegistry) -> None:
    registry.kind = "bearer"
    assert published(f"{registry.address}/team/model:1").platforms
    assert registry.asked.count("/token") == 1


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_the_login_that_docker_kept_is_used(registry: ImageRegistry, tmp_path: Path, kind: str) -> None:
    registry.kind, registry.login = kind, "me:s3cret:with colon"
    log_in(tmp_path, registry.address, registry.login)
    assert published(f"{registry.address}/team/model:1").platforms


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_without_a_login_it_says_how_to_get_one(registry: ImageRegistry, kind: str) -> None:
    registry.kind, registry.login = kind, "me:s3cret"
    told = refused(f"{registry.address}/team/model:1")
    assert "wants a login" in told and f"docker login {registry.address}" in told


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_a_login_that_is_refused_is_not_repeated(registry: ImageRegistry, tmp_path: Path, kind: str) -> None:
    registry.kind, registry.login = kind, "me:new"
    log_in(tmp_path, registry.address, "me:s3cret")
    told = refused(f"{registry.address}/team/model:1")
    assert "refuses the login" in told
    assert "s3cret" not in told and base64.b64encode(b"me:s3cret").decode() not in told


def test_no_login_goes_to_a_token_service_without_tls(registry: ImageRegistry, tmp_path: Path) -> None:
    registry.kind, registry.realm = "bearer", "http://tokens.example.com/"
    log_in(tmp_path, registry.address, "me:s3cret")
    assert "a token service without TLS" in refused(f"{registry.address}/team/model:1")


def test_a_login_of_netrc_is_not_sent(registry: ImageRegistry, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    registry.kind, registry.login = "basic", "me:s3cret"
    assert "wants a login" in refused(f"{registry.address}/team/model:1")


def test_a_damaged_login_is_told_without_it(registry: ImageRegistry, tmp_path: Path) -> None:
    registry.kind = "bearer"
    log_in(tmp_path, registry.address, "s3cret")
    told = refused(f"{registry.address}/team/model:1")
    assert "config.json cannot be read" in told and "s3cret" not in told


# Trust


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of 127.0.0.1, which nobody trusts."""
    path = tmp_path / "both.pem"
    words = ("req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    names = ("-subj", "/CN=ours", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path))
    subprocess.run(["openssl", *words, *names], check=True, capture_output=True)
    return path


@pytest.fixture
def with_tls(certificate: Path) -> Iterator[ImageRegistry]:
    with image_registry(certificate) as made:
        fill(made)
        yield made


def test_a_certificate_that_nobody_trusts_is_refused_not_passed_over(with_tls: ImageRegistry) -> None:
    told = refused(f"{with_tls.address}/team/model:1")
    assert "its certificate is not trusted: self-signed certificate" in told
    assert f"certs.d/{with_tls.address}/ca.crt" in told
    assert with_tls.asked == []


def test_the_authority_that_docker_trusts_for_a_registry_is_trusted(
    with_tls: ImageRegistry, certificate: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "certs.d" / with_tls.address
    folder.mkdir(parents=True)
    shutil.copy(certificate, folder / "ca.crt")
    assert published(f"{with_tls.address}/team/model:1").platforms


def test_so_is_that_of_requests_ca_bundle(
    with_tls: ImageRegistry, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert published(f"{with_tls.address}/team/model:1").platforms


def test_a_file_that_is_no_certificate_is_named(with_tls: ImageRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / with_tls.address
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("none")
    assert f"{folder / 'ca.crt'} cannot be read: it holds no certificate" in refused(f"{with_tls.address}/team/model:1")


# Names

NAMES = {
    "ubuntu": ("docker.io", "library/ubuntu", "latest"),
    "vllm/vllm-openai:v0.33.0": ("docker.io", "vllm/vllm-openai", "v0.33.0"),
    "docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04": ("docker.io", "nvidia/cuda", "13.0.1-base-ubuntu24.04"),
    "nvcr.io/nvidia/pytorch:26.10-py3": ("nvcr.io", "nvidia/pytorch", "26.10-py3"),
    "localhost/a": ("localhost", "a", "latest"),
    "registry:5000/a/b__c": ("registry:5000", "a/b__c", "latest"),
    "[::1]:5000/a": ("[::1]:5000", "a", "latest"),
    f"10.0.0.1:5000/a:1@{DIGEST}": ("10.0.0.1:5000", "a", DIGEST),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_apart_as_docker_does(name: str) -> None:
    found = Reference.parse(name)
    assert (found.registry, found.repository, found.version) == NAMES[name]


@pytest.mark.parametrize(
    "name", ["", "Model", "https://nvcr.io/a", "a:b:c", "a@sha256:12", "nvcr.io/", "a/../b", "a b", "a?n=1", "-i"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    assert "is no image's name" in refused(name)


def test_a_login_in_a_name_is_not_repeated() -> None:
    assert "s3cret" not in refused("me:s3cret@registry.example.com/team/model:1")


@pytest.mark.parametrize(
    ("address", "here"),
    [("localhost:5000", True), ("127.0.0.5", True), ("[::1]:5000", True), ("10.0.0.1:5000", False), ("nvcr.io", False)],
)
def test_only_this_machine_may_do_without_tls(address: str, here: bool) -> None:
    assert Reference.parse(f"{address}/a").loopback == here


# On a host


def test_a_host_gets_what_the_image_is_on_its_machine(registry: ImageRegistry) -> None:
    name = f"{registry.address}/team/model:1"
    host = with_images(RECORD, [published(name)])
    (wanted,) = host.to_deploy
    assert wanted.image is not None and wanted.image.require_cuda == REQUIRE
    torch = (host.torches.value or ())[-1]
    assert (torch.place, torch.version, torch.cuda) == (f"image {name}, to be deployed", "2.13.0", "13.2")
