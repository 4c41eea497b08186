"""Private keys: made as asked, left alone when they are as asked, shown nowhere."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules import rollback
from wxops.agent.modules.openssl_privatekey import openssl_privatekey
from wxops.agent.private_key import _parsed


@pytest.fixture
def key(tmp_path: Path) -> str:
    return str(tmp_path / "key.pem")


def make(path: str, check: bool = False, **arguments: Any) -> tuple[dict[str, Any], Change]:
    change = Change(View(), Journal("run", root=str(Path(path).parent / "journal")), check=check)
    return openssl_privatekey(change, path, **{"type": "Ed25519", **arguments}), change


@pytest.mark.parametrize(
    ("asked", "about"),
    [
        ({"type": "RSA", "size": 1024}, {"type": "RSA", "size": 1024}),
        ({"type": "DSA", "size": 1024}, {"type": "DSA", "size": 1024}),
        ({"type": "ECC", "curve": "secp256r1"}, {"type": "ECC", "curve": "secp256r1"}),
        ({"type": "ECC", "curve": "brainpoolP256r1"}, {"type": "ECC", "curve": "brainpoolP256r1"}),
        ({"type": "X25519"}, {"type": "X25519"}),
        ({"type": "Ed448", "passphrase": "open sesame"}, {"type": "Ed448"}),
        ({"type": "RSA", "size": 1024, "passphrase": "x"}, {"type": "RSA"}),
    ],
)
def test_a_key_of_each_kind_is_made_once(key: str, asked: dict[str, Any], about: dict[str, Any]) -> None:
    result, first = make(key, **asked)
    assert {name: result[name] for name in about} == about
    assert Path(key).stat().st_mode & 0o777 == 0o600
    made = Path(key).read_bytes()
    again, second = make(key, **asked)
    assert (first.changed, second.changed) == (True, False)
    assert again["fingerprint"] == result["fingerprint"] and Path(key).read_bytes() == made


@pytest.mark.parametrize(
    ("before", "asked", "replaced"),
    [
        ({}, {"type": "X25519"}, True),
        ({}, {"type": "X25519", "regenerate": "never"}, False),
        ({}, {"regenerate": "always"}, True),
        ({}, {"force": True}, True),
        ({}, {"passphrase": "new"}, True),
        ({"type": "RSA", "size": 1024}, {"type": "RSA", "size": 1024, "format": "pkcs8"}, True),
        ({"type": "RSA", "size": 1024}, {"type": "RSA", "size": 1024, "format": "pkcs1"}, False),
    ],
)
def test_a_key_is_replaced_when_it_is_another_and_may_be(
    key: str, before: dict[str, Any], asked: dict[str, Any], replaced: bool
) -> None:
    make(key, **before)
    was = Path(key).read_bytes()
    predicted = make(key, check=True, **asked)[1].changed
    assert Path(key).read_bytes() == was
    assert make(key, **asked)[1].changed is replaced is predicted
    assert (Path(key).read_bytes() != was) is replaced


def test_a_key_can_be_converted(key: str) -> None:
    before, _ = make(key, type="RSA", size=1024)
    after, change = make(key, type="RSA", size=1024, format="pkcs8", format_mismatch="convert")
    assert change.changed and after["fingerprint"] == before["fingerprint"]
    assert Path(key).read_text().startswith("-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize("asked", [{"type": "RSA", "regenerate": "fail"}, {"passphrase": "x", "regenerate": "fail"},
                                   {"passphrase": "x", "regenerate": "partial_idempotence"},
                                   {"type": "ECC"}, {"return_content": True}])  # fmt: skip
def test_a_key_that_may_not_be_replaced_is_a_failure(key: str, asked: dict[str, Any]) -> None:
    make(key)
    was = Path(key).read_bytes()
    with pytest.raises(ModuleFailure):
        make(key, **asked)
    assert Path(key).read_bytes() == was


def test_a_key_is_shown_nowhere(key: str) -> None:
    result, change = make(key)
    secret = Path(key).read_text().splitlines()[1]
    assert secret not in str(result) + str(change.diffs)
    _, gone = make(key, state="absent")
    assert not Path(key).exists() and secret not in str(gone.diffs)
    journal = Path(key).parent / "journal" / "journal" / "run" / "host"
    steps = (journal / "steps.jsonl").read_text()
    assert '"hidden":true' in steps and journal.stat().st_mode & 0o777 == 0o700


def test_a_rollback_shows_no_key_either(key: str) -> None:
    make(key)
    secrets = [Path(key).read_text().splitlines()[1]]
    _, change = make(key, type="X25519", backup=True)
    secrets.append(Path(key).read_text().splitlines()[1])
    back = Change(View(), Journal("back", root=str(Path(key).parent / "journal")))
    rollback._take_back(back, change.journal, change.journal.steps())
    assert not Path(key).exists() and len(list(Path(key).parent.iterdir())) == 1
    shown = str(back.diffs)
    assert "not shown" in shown and not any(secret in shown for secret in secrets)


def test_openssl_takes_the_key(key: str) -> None:
    make(key, type="ECC", curve="secp384r1", passphrase="a b", format="pkcs8")
    done = subprocess.run(["openssl", "ec", "-in", key, "-passin", "pass:a b", "-noout", "-text"], capture_output=True)
    assert b"secp384r1" in done.stdout


def test_what_older_openssl_shows_is_understood() -> None:
    assert _parsed("RSA Public-Key: (2048 bit)\nModulus:\n    00\nExponent: 65537\n") == {"type": "RSA", "size": 2048}
