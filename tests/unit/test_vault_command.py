"""`wxops vault`: files stay whole and private, plain text is never left behind, and every slip is a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wxops.cli.vault import vault
from wxops.console.editor import edited, in_memory
from wxops.errors import InputError, WxopsError
from wxops.playbook.data_file import read
from wxops.playbook.source import load_text
from wxops.playbook.templating import Templar
from wxops.playbook.vault import VaultKeys, is_encrypted
from wxops.playbook.vault_file import write

KEYS = VaultKeys().and_password("default", b"one").and_password("dev", b"two")
TEXT = "password: s3cret\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").write_text("one\n")
    (tmp_path / "two").write_text("two\n")
    (tmp_path / "a.yml").write_text(TEXT)
    (tmp_path / "a.yml").chmod(0o640)
    return tmp_path


def call(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(vault, list(arguments), input=given)


def editor(place: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """An editor that does this to "$1"."""
    script = place / "editor"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))


def test_a_file_is_encrypted_in_place_and_keeps_its_mode(place: Path) -> None:
    assert call("encrypt", "a.yml", "--vault-password-file", "one").exit_code == 0
    closed = (place / "a.yml").read_text()
    assert is_encrypted(closed) and KEYS.decrypt_text(closed) == TEXT
    assert (place / "a.yml").stat().st_mode & 0o777 == 0o640
    assert call("decrypt", "a.yml", "--vault-password-file", "one").exit_code == 0
    assert (place / "a.yml").read_text() == TEXT
    assert (place / "a.yml").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(place)) == ["a.yml", "one", "two"], "nothing stays beside the file"


def test_the_plain_text_is_overwritten_on_the_disk(place: Path) -> None:
    with (place / "a.yml").open("rb") as before:
        write("a.yml", b"closed", wipe=True)
        assert before.read() == bytes(len(TEXT))


def test_a_file_with_a_second_name_is_not_overwritten_under_it(place: Path) -> None:
    os.link("a.yml", "b.yml")
    write("a.yml", b"closed", wipe=True)
    assert (place / "b.yml").read_text() == TEXT


def test_a_link_stays_and_the_file_that_it_names_is_encrypted(place: Path) -> None:
    os.symlink("a.yml", "link.yml")
    call("encrypt", "link.yml", "--vault-password-file", "one")
    assert (place / "link.yml").is_symlink() and is_encrypted((place / "a.yml").read_text())


def test_an_output_file_that_is_new_is_private_and_the_source_stays(place: Path) -> None:
    call("encrypt", "a.yml", "--output", "b.yml", "--vault-password-file", "one")
    assert (place / "b.yml").stat().st_mode & 0o777 == 0o600
    assert (place / "a.yml").read_text() == TEXT
    assert call("decrypt", "b.yml", "--output", "-", "--vault-password-file", "one").stdout == TEXT


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_stdin_goes_to_stdout(place: Path, arguments: tuple[str, ...]) -> None:
    closed = call("encrypt", *arguments, "--vault-id", "dev@two", given=TEXT).stdout
    assert closed.startswith("$ANSIBLE_VAULT;1.2;AES256;dev\n")
    assert call("decrypt", *arguments, "--vault-id", "two", given=closed).stdout == TEXT


def test_several_vault_ids_need_the_name_of_the_one_that_encrypts(place: Path) -> None:
    ids = ("--vault-id", "one", "--vault-id", "dev@two")
    refused = call("encrypt", "a.yml", *ids)
    assert "--encrypt-vault-id" in str(refused.exception) and (place / "a.yml").read_text() == TEXT
    assert call("encrypt", "a.yml", *ids, "--encrypt-vault-id", "dev").exit_code == 0
    assert VaultKeys().and_password("dev", b"two").decrypt_text((place / "a.yml").read_text()) == TEXT


def test_rekey_takes_the_new_label_and_password(place: Path) -> None:
    call("encrypt", "a.yml", "--vault-password-file", "one")
    assert call("rekey", "a.yml", "--vault-password-file", "one", "--new-vault-id", "dev@two").exit_code == 0
    assert (place / "a.yml").read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;dev\n")
    assert call("view", "a.yml", "--vault-id", "dev@two").stdout == TEXT


def test_edit_keeps_label_and_password_and_leaves_an_unchanged_file_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("encrypt", "a.yml", "--vault-id", "dev@two")
    before = (place / "a.yml").read_bytes()
    editor(place, monkeypatch, "true")
    call("edit", "a.yml", "--vault-id", "dev@two")
    assert (place / "a.yml").read_bytes() == before
    editor(place, monkeypatch, 'echo "more: 1" >> "$1"; stat -c "%a %n" "$1" "$(dirname "$1")" > seen')
    assert call("edit", "a.yml", "--vault-id", "one", "--vault-id", "x@two").exit_code == 0
    assert KEYS.decrypt_text((place / "a.yml").read_text()) == TEXT + "more: 1\n"
    assert (place / "a.yml").read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;dev\n")
    file, folder = (place / "seen").read_text().splitlines()
    assert file.startswith("600 ") and file.endswith("/a.yml") and folder.startswith("700 ")
    assert not Path(folder.split()[1]).exists()
    assert in_memory() is None or folder.split()[1].startswith(in_memory() or "?")


def test_an_editor_that_fails_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("encrypt", "a.yml", "--vault-password-file", "one")
    before = (place / "a.yml").read_bytes()
    editor(place, monkeypatch, 'echo "x: 1" >> "$1"; exit 3')
    assert "ended with 3" in str(call("edit", "a.yml", "--vault-password-file", "one").exception)
    assert (place / "a.yml").read_bytes() == before
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    with pytest.raises(InputError, match="set EDITOR"):
        edited(b"x", "a.yml")


def test_create_writes_a_new_file_and_no_other(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(place, monkeypatch, 'echo "x: 1" > "$1"')
    arguments = ("--vault-password-file", "one", "--skip-tty-check")
    assert call("create", "new/b.yml", *arguments).exit_code == 0
    assert KEYS.decrypt_text((place / "new/b.yml").read_text()) == "x: 1\n"
    assert "is there already" in str(call("create", "a.yml", *arguments).exception)
    assert "no terminal" in str(call("create", "c.yml", "--vault-password-file", "one").exception)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_edit_that_is_ended_leaves_no_plain_text(
    place: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    call("encrypt", "a.yml", "--vault-password-file", "one")
    editor(place, monkeypatch, 'echo "$1" > seen.new; mv seen.new seen; sleep 30')
    command = [sys.executable, "-c", "from wxops.cli.main import main; main()", "vault", "edit", "a.yml"]
    with subprocess.Popen([*command, "--vault-password-file", "one"], stderr=subprocess.PIPE) as running:
        seen = place / "seen"
        for _ in range(200):
            if seen.exists():
                break
            time.sleep(0.05)
        path = Path(seen.read_text().strip())
        assert path.read_text() == TEXT
        running.send_signal(ending)
        assert running.wait(10) == 130
    assert not path.parent.exists()
    assert is_encrypted((place / "a.yml").read_bytes())


def test_strings_are_written_as_values_with_their_names(place: Path) -> None:
    done = call("encrypt-string", "--vault-password-file", "one", "-n", "a", "first", "-n", "b", "second")
    (place / "vars.yml").write_text(done.stdout)
    variables = read("vars.yml", KEYS).load_variables()
    assert Templar(variables, vault=KEYS).render(load_text("'{{ a }} {{ b }}'", "x")) == "first second"
    assert "first" not in done.output and "string 2, from the command line: b" in done.stderr


def test_a_string_comes_from_stdin_byte_for_byte(place: Path) -> None:
    written = call("encrypt_string", "--vault-password-file", "one", "--stdin-name", "key", given="a\nb\n").stdout
    head, *body = written.splitlines()
    assert head == "key: !vault |" and all(line.startswith(" " * 10) for line in body)
    assert KEYS.decrypt_text("\n".join(line.strip() for line in body)) == "a\nb\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("decrypt", "a.yml"), "is not encrypted"),
        (("view", "a.yml"), "is not encrypted"),
        (("encrypt", "missing.yml"), "No such file"),
        (("encrypt", "a.yml", "one", "--output", "b"), "--output takes one file"),
        (("encrypt-string", ""), "is empty"),
        (("edit", "-"), "an editor needs a file"),
        (("encrypt-string", "-", "-p"), "cannot both"),
        (("rekey", "a.yml", "--new-vault-id", "two", "--new-vault-password-file", "two"), "give one of them"),
        (("encrypt", "a.yml", "--vault-id", "a;b@two"), "semicolon"),
    ],
)
def test_a_slip_is_a_sentence_and_changes_nothing(place: Path, arguments: tuple[str, ...], problem: str) -> None:
    error = call(*arguments, "--vault-password-file", "one").exception
    assert isinstance(error, WxopsError) and problem in str(error)
    assert (place / "a.yml").read_text() == TEXT


def test_encrypting_twice_is_refused(place: Path) -> None:
    call("encrypt", "a.yml", "--vault-password-file", "one")
    assert "encrypted already" in str(call("encrypt", "a.yml", "--vault-password-file", "one").exception)


def test_a_new_password_is_asked_for_twice(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def typed(*answers: str) -> None:
        rest = iter(answers)
        monkeypatch.setattr("wxops.playbook.vault_passwords.getpass", lambda text: asked.append(text) or next(rest))

    typed("one", "other")
    assert "not the same" in str(call("encrypt", "a.yml").exception)
    assert (place / "a.yml").read_text() == TEXT
    typed("one", "one")
    assert call("encrypt", "a.yml").exit_code == 0
    assert asked[2:] == ["New vault password: ", "Confirm new vault password: "]
    assert KEYS.decrypt_text((place / "a.yml").read_text()) == TEXT


@pytest.mark.parametrize("command", ["encrypt", "decrypt", "encrypt-string"])
def test_a_line_of_the_text_is_never_taken_for_the_password(place: Path, command: str) -> None:
    text = "same\nsame\n" if command != "decrypt" else KEYS.encrypt("x")
    run = [sys.executable, "-c", "from wxops.cli.main import main; main()", "vault", command]
    done = subprocess.run(run, input=text, capture_output=True, text=True, start_new_session=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "standard input brings the text" in done.stderr


@pytest.mark.parametrize(
    ("command", "reason"),
    [("view nowhere", "cannot be read"), ("decrypt a.yml", "is not encrypted"), ("rekey a.yml", "is not encrypted"),
     ("edit nowhere", "cannot be read"), ("encrypt nowhere", "cannot be read")],
)  # fmt: skip
def test_a_wrong_file_is_said_before_a_password_is_asked_for(command: str, reason: str, place: Path) -> None:
    result = call(*command.split(), given="")
    assert isinstance(result.exception, WxopsError) and reason in str(result.exception)


@pytest.mark.parametrize("command", ["decrypt", "rekey --new-vault-password-file one"])
def test_several_files_change_together_or_not_at_all(command: str, place: Path) -> None:
    (place / "a.yml").write_text(KEYS.encrypt(TEXT, "dev"))
    (place / "b.yml").write_text(VaultKeys().and_password("default", b"another").encrypt(TEXT))
    before = (place / "a.yml").read_text()
    result = call(*command.split(), "a.yml", "b.yml", "--vault-password-file", "two")
    assert isinstance(result.exception, WxopsError) and "b.yml" in str(result.exception)
    assert (place / "a.yml").read_text() == before
