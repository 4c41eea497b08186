"""Vault texts open and close as ansible-vault's do. The files in data/vault were encrypted by ansible-core 2.19."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wxops.errors import InputError, Origin, VaultError
from wxops.playbook.data_file import read
from wxops.playbook.vault import VaultKeys, is_encrypted
from wxops.playbook.vault_passwords import vault_keys

DATA = Path(__file__).parent / "data" / "vault"
KEYS = VaultKeys().and_password("default", b"lab-password").and_password("prod", b"prod-password")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("v11-salted.txt", b"salted plain text"),
        ("v12.txt", "text with 中文\n".encode()),
        ("empty.txt", b""),
    ],
)
def test_opens_what_ansible_vault_closed(name: str, plain: bytes) -> None:
    assert KEYS.decrypt((DATA / name).read_text()) == plain


def test_opens_binary_content_byte_for_byte() -> None:
    digest = hashlib.sha256(KEYS.decrypt((DATA / "binary.bin").read_bytes())).hexdigest()
    assert digest == "8a94d589191f48b098eca832a7fb2614c8a8cc682c86ce105310661f3a29df31"


def test_writes_the_bytes_that_ansible_vault_writes_for_the_same_salt() -> None:
    salt = b"0123456789abcdef0123456789abcdef"
    assert KEYS.encrypt("salted plain text", salt=salt) == (DATA / "v11-salted.txt").read_text()


@pytest.mark.parametrize("plain", [b"", b"x", b"sixteen bytes ok", bytes(range(256)) * 50])
@pytest.mark.parametrize(("label", "header"), [(None, ";1.1;AES256"), ("prod", ";1.2;AES256;prod")])
def test_opens_what_it_closed(plain: bytes, label: str | None, header: str) -> None:
    text = KEYS.encrypt(plain, label)
    assert text.splitlines()[0] == "$ANSIBLE_VAULT" + header
    assert KEYS.decrypt(text) == plain


def test_every_text_has_its_own_salt() -> None:
    assert KEYS.encrypt("same") != KEYS.encrypt("same")


def test_an_indented_text_opens_too() -> None:
    indented = "\n".join("    " + line for line in (DATA / "v12.txt").read_text().splitlines())
    assert KEYS.decrypt_text(indented) == "text with 中文\n"


def test_a_password_under_another_label_is_tried_as_well() -> None:
    keys = VaultKeys().and_password("other", b"wrong").and_password("misnamed", b"prod-password")
    assert keys.decrypt_text((DATA / "v12.txt").read_text()) == "text with 中文\n"


def test_a_wrong_password_says_where_and_what_to_pass() -> None:
    keys = VaultKeys().and_password("prod", b"not-this-one")
    with pytest.raises(VaultError) as raised:
        keys.decrypt((DATA / "v12.txt").read_text(), Origin("group_vars/all.yml", 3, 7))
    assert str(raised.value).startswith(
        "group_vars/all.yml:3:7: no vault password opens this (label 'prod'); tried: prod"
    )
    assert "--vault-id prod@FILE" in str(raised.value)
    assert "not-this-one" not in str(raised.value)


def test_no_password_says_what_to_pass() -> None:
    with pytest.raises(VaultError, match=r"--vault-password-file FILE or --ask-vault-pass"):
        VaultKeys().decrypt((DATA / "v11-salted.txt").read_text(), "secrets.yml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("plain text", "first line"),
        ("", "first line"),
        ("$ANSIBLE_VAULT;1.1;AES256\nzz", "not complete"),
        ("$ANSIBLE_VAULT;1.1;AES256\n333", "not complete"),
        ("$ANSIBLE_VAULT;1.1;AES256\n3333", "not complete"),
        ("$ANSIBLE_VAULT;1.1;AES256\nffff", "not complete"),
        ("$ANSIBLE_VAULT;1.0;AES\n3333", "format 1.0"),
        ("$ANSIBLE_VAULT;1.1;AES\n3333", "cipher AES "),
    ],
)
def test_damage_is_told_from_a_wrong_password(text: str, problem: str) -> None:
    with pytest.raises(VaultError, match=problem):
        KEYS.decrypt(text, "x")


def test_a_changed_text_does_not_open() -> None:
    text = KEYS.encrypt("genuine")
    changed = text[:-3] + ("0" if text[-3] != "0" else "1") + text[-2:]
    with pytest.raises(VaultError):
        KEYS.decrypt(changed)


def test_closing_twice_is_refused() -> None:
    with pytest.raises(VaultError, match="already"):
        KEYS.encrypt(KEYS.encrypt("once"))


def test_closing_needs_the_password_it_names() -> None:
    with pytest.raises(VaultError, match="staging"):
        KEYS.encrypt("x", "staging")
    with pytest.raises(VaultError, match="needs a vault password"):
        VaultKeys().encrypt("x")


def test_a_password_never_shows_itself() -> None:
    shown = f"{KEYS!r} {KEYS} {KEYS.passwords} {KEYS.passwords[0][1]!s}"
    assert "Password(***)" in shown and "lab-password" not in shown
    KEYS.decrypt((DATA / "empty.txt").read_text())
    assert "lab-password" not in repr(KEYS)


def test_a_whole_file_is_read_in_clear_and_known_as_secret() -> None:
    file = read(str(DATA / "group_vars" / "all.yml"), KEYS)
    assert file.encrypted
    assert file.load_variables()["db_password"] == "correct horse"
    assert file.load_variables()["db_password"].origin.line == 2
    assert not read(str(DATA / "hosts.yml"), KEYS).encrypted


def test_bad_yaml_in_an_encrypted_file_does_not_quote_it(tmp_path: Path) -> None:
    path = tmp_path / "all.yml"
    path.write_text(KEYS.encrypt("password: *hunter2\n\tx: {{ y }}"))
    with pytest.raises(InputError) as raised:
        read(str(path), KEYS).load()
    assert "hunter2" not in str(raised.value) and f"{path}:1" in str(raised.value)


def test_labels_files_and_prompts_are_opened_in_order() -> None:
    asked: list[str] = []

    def prompt(question: str) -> str:
        asked.append(question)
        return "typed"

    keys = vault_keys([f"prod@{DATA / 'prod-password'}", "dev@prompt"], [str(DATA / "password")], True, prompt)
    assert [(label, password.secret) for label, password in keys.passwords] == [
        ("prod", b"prod-password"),
        ("dev", b"typed"),
        ("default", b"lab-password"),
        ("default", b"typed"),
    ]
    assert asked == ["Vault password (dev): ", "Vault password: "]


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_script_prints_the_password(tmp_path: Path) -> None:
    keys = vault_keys([script(tmp_path / "pass.sh", 'echo "from a script $#"')])
    assert keys.passwords[0][1].secret == b"from a script 0"


def test_a_client_script_is_told_the_label(tmp_path: Path) -> None:
    keys = vault_keys(["prod@" + script(tmp_path / "keyring-client.sh", 'echo "$1 $2"')])
    assert keys.passwords[0] == ("prod", keys.passwords[0][1])
    assert keys.passwords[0][1].secret == b"--vault-id prod"


def test_a_password_file_may_be_encrypted_with_a_password_before_it(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text(KEYS.encrypt("inner password\n"))
    keys = vault_keys([f"a@{DATA / 'password'}", f"b@{second}"])
    assert keys.passwords[1][1].secret == b"inner password"


def test_a_source_without_a_password_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    cases = {
        str(tmp_path / "missing"): "no such vault password file",
        str(empty): "it is empty",
        script(tmp_path / "fails.sh", "exit 3"): "exited with 3",
        "prod@" + script(tmp_path / "x-client", "exit 2"): "no vault password under the label 'prod'",
    }
    for source, problem in cases.items():
        with pytest.raises(VaultError, match=problem):
            vault_keys([source])
    with pytest.raises(VaultError, match="empty"):
        vault_keys(ask=True, prompt=lambda question: "")


def test_only_a_whole_text_counts_as_encrypted() -> None:
    assert is_encrypted((DATA / "empty.txt").read_bytes())
    assert not is_encrypted("key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256")
