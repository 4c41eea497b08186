"""`wxops vault` and ansible-vault on the same files, both ways: what one closes the other opens, byte for byte.

ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ANSIBLE = os.environ.get("ANSIBLE_PYTHON", "")
OURS = [sys.executable, "-c", "from wxops.cli.main import main; main()", "vault"]
THEIRS = [str(Path(ANSIBLE).parent / "ansible-vault")]
PLAIN = {"text": "db: 中文\n".encode(), "binary": bytes(range(256)) * 5, "empty": b""}
LABELS = {"1.1": ("--vault-password-file", "one"), "1.2": ("--vault-id", "dev@two")}
PAIRS = {"ours, then theirs": (OURS, THEIRS), "theirs, then ours": (THEIRS, OURS)}

pytestmark = pytest.mark.skipif(not ANSIBLE, reason="ANSIBLE_PYTHON names no interpreter with ansible-core")


def call(command: list[str], *arguments: str, at: Path, given: bytes = b"", **environment: str) -> bytes:
    done = subprocess.run([*command, *arguments], cwd=at, input=given, capture_output=True, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **environment})  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "one").write_text("one\n")
    (tmp_path / "two").write_text("two\n")
    script = tmp_path / "keys-client"
    script.write_text('#!/bin/sh\ntest "$1" = --vault-id && cat "$2"\n')
    script.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("plain", PLAIN)
def test_what_one_closes_the_other_opens(plain: str, label: str, pair: str, place: Path) -> None:
    close, opener = PAIRS[pair]
    file = place / "file"
    file.write_bytes(PLAIN[plain])
    call(close, "encrypt", "file", *LABELS[label], at=place)
    assert file.read_text().startswith(f"$ANSIBLE_VAULT;{label};AES256" + (";dev\n" if label == "1.2" else "\n"))
    call(opener, "decrypt", "file", *LABELS[label], at=place)
    assert file.read_bytes() == PLAIN[plain]


@pytest.mark.parametrize("who", [OURS, THEIRS], ids=["ours", "theirs"])
def test_the_same_commands_leave_the_same(who: list[str], place: Path) -> None:
    (place / "file").write_bytes(PLAIN["text"])
    call(who, "encrypt", "file", "--output", "new", "--vault-id", "one@keys-client", at=place)
    assert (place / "new").stat().st_mode & 0o777 == 0o600
    call(who, "rekey", "new", "--vault-id", "one@one", "--new-vault-id", "dev@two", at=place)
    editor = "sh -c 'echo edited >> \"$0\"'"
    call(who, "edit", "new", "--vault-id", "other@one", "--vault-id", "dev@two", at=place, EDITOR=editor)
    assert (place / "new").read_text().splitlines()[0] == "$ANSIBLE_VAULT;1.2;AES256;dev"
    shown = call(who, "view", "new", "--vault-id", "dev@two", at=place)
    assert shown == PLAIN["text"] + b"edited\n"
    assert call(who, "decrypt", "new", "--output", "-", "--vault-id", "dev@two", at=place) == shown


@pytest.mark.parametrize("who", [OURS, THEIRS], ids=["ours", "theirs"])
def test_an_encrypted_string_has_the_same_shape(who: list[str], place: Path) -> None:
    ids = ("--vault-id", "one@one", "--vault-id", "dev@two", "--encrypt-vault-id", "dev")
    named = call(who, "encrypt_string", *ids, "value", "--name", "key", at=place).decode()
    piped = call(who, "encrypt_string", *ids, "--stdin-name", "piped", at=place, given=b"from stdin").decode()
    for text, name in ((named, "key"), (piped, "piped")):
        lines = text.splitlines()
        assert lines[:2] == [f"{name}: !vault |", " " * 10 + "$ANSIBLE_VAULT;1.2;AES256;dev"]
        assert text.endswith("\n") and all(line.startswith(" " * 10) for line in lines[1:])
    body = "\n".join(line.strip() for line in named.splitlines()[1:]) + "\n"
    other = THEIRS if who is OURS else OURS
    assert call(other, "decrypt", "--vault-id", "dev@two", at=place, given=body.encode()) == b"value"


@pytest.mark.parametrize(
    "arguments",
    [
        ("decrypt", "plain", "--vault-password-file", "one"),
        ("encrypt", "closed", "--vault-password-file", "one"),
        ("encrypt", "missing", "--vault-password-file", "one"),
        ("decrypt", "closed", "--vault-password-file", "two"),
        ("encrypt", "plain", "--vault-id", "a@one", "--vault-id", "b@two"),
        ("encrypt", "plain", "closed", "--output", "x", "--vault-password-file", "one"),
        ("create", "plain", "--vault-password-file", "one"),
        ("encrypt_string", "", "--vault-password-file", "one"),
    ],
    ids=" ".join,
)
def test_both_refuse_the_same_and_leave_the_files_alone(arguments: tuple[str, ...], place: Path) -> None:
    for who in (OURS, THEIRS):
        (place / "plain").write_text("plain\n")
        closed = call(THEIRS, "encrypt", "--vault-password-file", "one", at=place, given=b"x")
        (place / "closed").write_bytes(closed)
        done = subprocess.run([*who, *arguments], cwd=place, capture_output=True, input=b"", check=False)
        assert done.returncode != 0 and b"Traceback" not in done.stderr
        assert (place / "plain").read_text() == "plain\n" and (place / "closed").read_bytes() == closed


def test_a_playbook_of_theirs_reads_our_string(place: Path) -> None:
    text = call(OURS, "encrypt-string", "--vault-password-file", "one", "-n", "key", "s3cret", at=place).decode()
    tasks = [{"ansible.builtin.assert": {"that": "key == 's3cret'"}}]
    play = yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars_files": ["vars.yml"], "tasks": tasks}])
    (place / "vars.yml").write_text(text)
    (place / "play.yml").write_text(play)
    call([str(Path(ANSIBLE).parent / "ansible-playbook")], "play.yml", "-i", "localhost,", "-c", "local",
         "--vault-password-file", "one", at=place)  # fmt: skip
