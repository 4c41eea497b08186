"""One commented file is the documentation; every mistake in a file is told at once, with its line."""

from __future__ import annotations

import shutil
import socket
import typing
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from authority import Authority
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel

from wxruntime.cli import main
from wxruntime.document import DocumentError, fields_at
from wxruntime.gateway import config, config_file

EXAMPLE = Path(config.__file__).with_name("example.yaml")


@pytest.fixture
def example(tmp_path: Path, authority: Authority) -> Path:
    """The example, with files that are there."""
    server, client = authority.issue("server"), authority.issue("client")
    files = {
        "server.pem": server[0], "server.key": server[1], "clients-ca.pem": authority.ca, "clients.crl": authority.crl,
        "engines-ca.pem": authority.ca, "valkey-ca.pem": authority.ca, "client.pem": client[0], "client.key": client[1],
        "center-ca.pem": authority.ca, "edge.pem": client[0], "edge.key": client[1],
    }  # fmt: skip
    text = EXAMPLE.read_text()
    for name, path in files.items():
        shutil.copy(path, tmp_path / name)
    for name in ("engine.key", "valkey.password"):
        (tmp_path / name).write_text("secret")
    for folder in ("/etc/wxops/gateway", "/var/log/wxops", "/run/wxops", "/var/lib/wxops"):
        text = text.replace(folder, str(tmp_path))
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return path


def test_the_example_is_a_good_configuration(example: Path) -> None:
    checked = CliRunner().invoke(main, ["check", str(example)])
    assert checked.exit_code == 0, checked.output
    assert "a gateway for 1 model(s) and 2 client(s)" in checked.output


def keys(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield (*place, key)
            yield from keys(value, (*place, key))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from keys(value, (*place, index))


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section and those within it."""
    yield model
    for field in model.model_fields.values():
        kinds = [field.annotation]
        while kinds:
            kind = kinds.pop()
            kinds += typing.get_args(kind)
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections(kind)


def test_the_example_has_every_key_and_explains_it() -> None:
    shown = {place[-1] for place in keys(yaml.safe_load(EXAMPLE.read_text()))}
    there = {name for section in sections(config.Config) for name in section.model_fields}
    assert there - shown == set(), "keys without a line in the example"
    lines = EXAMPLE.read_text().splitlines()
    bare = [
        line.strip()
        for before, line in pairwise(lines)
        if ":" in line and "#" not in line and not before.lstrip().startswith("#") and not explained(line)
    ]
    assert bare == [], "lines without a comment on or above them"


def explained(line: str) -> bool:
    """Lines whose meaning stands with another one of the same name, or in their own name."""
    return line.split(":")[0].strip(" -") in {
        "listen", "models", "name", "networks", "allow", "url", "served_name", "key", "ca", "certificate", "port",
        "host", "database", "service", "otlp", "file", "connect_seconds", "within_seconds",
        "upstream", "health", "metrics", "between_tokens_seconds", "address", "client_ca", "client_certificate",
    }  # fmt: skip


def test_defaults_in_the_example_are_the_defaults() -> None:
    told = yaml.safe_load(EXAMPLE.read_text())
    for name in ("requests", "admission", "upstream", "breaker", "health", "routing", "metrics", "log"):
        section = config.Config.model_fields[name].default
        assert {key: getattr(section, key) for key in type(section).model_fields} == told[name]
    assert told["drain_seconds"] == config.Config.model_fields["drain_seconds"].default


GOOD = """\
clients: [{name: a, networks: [10.0.0.0/8]}]
models: [{name: m, replicas: [{url: "http://h:1"}]}]
"""
MISTAKES = {
    "models: []": "1:1: 'models' List should have at least 1 item",
    "modles: []": "1:1: 'modles' is not known here; did you mean 'models'?",
    GOOD + "admission: {queue: -1}": "3:13: 'queue' should be greater than or equal to 0 (it is -1)",
    GOOD + 'admission: {queue: "9"}': "3:13: 'queue' should be a valid integer (it is '9')",
    GOOD + "breaker:\n  failures: 1\n  failures: 2": "5:3: 'failures' is here twice",
    GOOD + "listen: {port: 70000}": "3:10: 'port' should be less than or equal to 65535 (it is 70000)",
    GOOD.replace("http://h:1", "h:1"): "2:32: 'url' should be http://HOST:PORT or https://HOST:PORT",
    GOOD.replace("http://h:1", "http://h:1/v1"): "2:32: 'url' should be http://HOST:PORT",
    GOOD.replace("http://h:1", "http://h:99999"): "2:32: 'url' should end with a port from 1 to 65535",
    GOOD + "listen: {probes: {port: 8080}}": "3:19: 8080 is the port of 'listen', too",
    GOOD.replace("10.0.0.0/8", "10.0.0.1/8"): "1:32: is not a network: 10.0.0.1/8 has host bits set",
    GOOD.replace("networks: [10.0.0.0/8]", "api_keys: [secret]"): "1:32: should be sha256: and 64 hexadecimal digits",
    GOOD.replace(", networks: [10.0.0.0/8]", ""): "1:11: by what is this client known?",
    GOOD.replace("networks: [10.0.0.0/8]", "certificates: [{}]"): "1:36: give 'subject', 'san' or both",
    GOOD.replace("networks: [10.0.0.0/8]", "certificates: [{subject: CN=x}]") + "listen: {}": "3:1: clients are known",
    GOOD.replace("networks: [10.0.0.0/8]", 'certificates: [{subject: ""}]'): "1:37: 'subject' is no subject; it should",
    GOOD.replace("/8]", "/8], models: [n]"): "1:54: 'n' is not known here; known: m",
    GOOD.replace("name: m", "name: m, aliases: [m]"): "2:10: the name 'm' is that of models[0], too",
    GOOD + "listen: {tls: {certificate: /x, key: /y}}": "3:16: there is no file /x",
    GOOD + "listen: {tls: {client_certificate: required}}": "3:10: 'certificate' is missing here",
    "models: [": "2:1: expected the node content",
    "": "1:1: 'models' is missing here",
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text if text.endswith("\n") or not text else text + "\n")
    with pytest.raises(DocumentError) as told:
        config_file.read(path)
    assert "secret" not in str(told.value), "a key where its hash should be"
    assert any(f"{path}:{MISTAKES[text]}" in str(each) for each in told.value.mistakes), str(told.value)


# What a file that the example names holds instead, its own words or those of another one, and what is said of it.
FILES = {
    "clients.crl": ("clients-ca.pem", "crl: holds no revocation list"),
    "engine.key": ("two\nlines", "should hold one line"),
    "valkey.password": (" ", "should hold one line"),
    "edge.key": ("server.key", "certificate: "),
    "valkey-ca.pem": ("nothing", "cannot be used"),
    "server.key": ("an encrypted key", "a gateway needs it without a passphrase"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_told_before_the_start(name: str, example: Path) -> None:
    content, wanted = FILES[name]
    bad = example.with_name(name)
    if content == "an encrypted key":
        key = load_pem_private_key(bad.read_bytes(), None)
        bad.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    elif (other := example.with_name(content)).is_file():
        bad.write_bytes(other.read_bytes())
    else:
        bad.write_text(content)
    checked = CliRunner().invoke(main, ["check", str(example)])
    assert checked.exit_code == 2 and wanted in checked.output


def test_an_address_that_is_taken_is_told_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path.write_text(GOOD + f"listen: {{port: {port}}}\n")
        started = CliRunner().invoke(main, ["gateway", "--config", str(path)])
    assert started.exit_code == 1
    assert started.output.strip() == f"Error: cannot listen on 127.0.0.1 port {port}: Address already in use"


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "models:\n  - nam: m\n    replicas: []\nclients:\n  - {name: a, prioritty: 3}\nbreaker: {failures: 0}\n"
    )
    checked = CliRunner().invoke(main, ["check", str(path)])
    assert checked.exit_code == 2
    places = [line.removeprefix(f"{path}:").split(": ")[0] for line in checked.output.splitlines()]
    assert places == ["2:5", "2:5", "3:5", "5:15", "6:11"]
    assert "did you mean 'name'?" in checked.output and "did you mean 'priority'?" in checked.output


def test_a_gateway_with_mistakes_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("models: []\n")
    started = CliRunner().invoke(main, ["gateway", "--config", str(path)])
    assert started.exit_code == 1 and "gateway.yaml:1:1" in started.output
    assert "priority" in fields_at(config.Config, ("clients", 0))


def test_a_key_is_shown_once_with_its_hash() -> None:
    import hashlib

    lines = CliRunner().invoke(main, ["gateway-key"]).output.split()
    assert lines[3] == "sha256:" + hashlib.sha256(lines[1].encode()).hexdigest()
    assert config.Client(name="a", api_keys=[lines[3]])
