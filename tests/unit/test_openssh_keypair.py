"""SSH key pairs: made as asked, left alone when they are, shown nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.openssh_keypair import openssh_keypair


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "key"


def make(key: Path, check: bool = False, **arguments: Any) -> tuple[dict[str, Any], Change]:
    change = Change(View(), Journal("run", root=str(key.parent / "journal")), check=check)
    return openssh_keypair(change, str(key), **{"type": "ed25519", **arguments}), change


@pytest.mark.parametrize(
    ("asked", "size"),
    [({}, 256), ({"type": "rsa", "size": 1024}, 1024), ({"type": "ecdsa", "size": 521}, 521),
     ({"passphrase": "open sesame"}, 256), ({"type": "rsa", "size": 1024, "private_key_format": "pkcs1"}, 1024),
     ({"type": "ecdsa", "private_key_format": "pkcs8"}, 256)],
)  # fmt: skip
def test_a_pair_is_made_once(key: Path, asked: dict[str, Any], size: int) -> None:
    result, first = make(key, comment="mine", **asked)
    assert (result["size"], result["comment"]) == (size, "mine")
    assert key.with_suffix(".pub").read_text() == result["public_key"] + "\n"
    assert key.read_text().splitlines()[1] not in str(result) + str(first.diffs)
    again, second = make(key, comment="mine", **asked)
    assert first.changed and not second.changed and again == result


@pytest.mark.parametrize(
    ("asked", "replaced"),
    [({"type": "ecdsa"}, True), ({"type": "ecdsa", "regenerate": "never"}, False), ({"force": True}, True),
     ({"passphrase": "x", "regenerate": "full_idempotence"}, True), ({"private_key_format": "ssh"}, False)],
)  # fmt: skip
def test_a_pair_is_replaced_when_it_is_another_and_may_be(key: Path, asked: dict[str, Any], replaced: bool) -> None:
    make(key)
    was = key.read_bytes()
    predicted = make(key, check=True, **asked)[1].changed
    assert make(key, **asked)[1].changed is replaced is predicted
    assert (key.read_bytes() != was) is replaced


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "rsa", "regenerate": "fail"},
        {"passphrase": "x"},
        {"type": "rsa", "size": 9},
        {"type": "ecdsa", "size": 9},
    ],
)
def test_what_may_not_be_is_a_failure(key: Path, asked: dict[str, Any]) -> None:
    make(key)
    was = key.read_bytes()
    with pytest.raises(ModuleFailure):
        make(key, **asked)
    assert key.read_bytes() == was


def test_a_comment_changes_the_public_key_only(key: Path) -> None:
    before, _ = make(key, comment="a")
    was = key.read_bytes()
    after, change = make(key, comment="b c")
    assert change.changed and key.read_bytes() == was
    assert after["public_key"] == before["public_key"][:-1] + "b c" and after["fingerprint"] == before["fingerprint"]
    assert not make(key)[1].changed, "without a comment any will do"


def test_both_files_go(key: Path) -> None:
    make(key)
    assert make(key, state="absent")[1].changed
    assert not key.exists() and not key.with_suffix(".pub").exists()
    assert not make(key, state="absent")[1].changed
