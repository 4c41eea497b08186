"""Where vault passwords come from: a file, a script that prints one, a client script that gets the label, a prompt."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from getpass import GetPassWarning, getpass

from wxops.errors import InputError, VaultError
from wxops.playbook.vault import DEFAULT_ID, VaultKeys, is_encrypted

PROMPTS = ("prompt", "prompt_ask_vault_pass")
_LABEL_UNKNOWN = 2  # what a client script exits with when it has no password under that label


def vault_keys(
    vault_ids: Sequence[str] = (),
    password_files: Sequence[str] = (),
    ask: bool = False,
    prompt: Callable[[str], str] | None = None,
) -> VaultKeys:
    """Every password that the operator named, opened in order.

    vault_ids:      `LABEL@SOURCE` or `SOURCE`; a source is `prompt` or the path of a file or script (--vault-id).
    password_files: paths, under the label `default` (--vault-password-file).
    ask:            prompt for one under the label `default` (--ask-vault-pass).
    A password file may itself be encrypted with a password named before it.
    """
    keys, prompt = VaultKeys(), prompt or typed
    for written in [*vault_ids, *(f"{DEFAULT_ID}@{path}" for path in password_files)]:
        label, source = written.split("@", 1) if "@" in written else (DEFAULT_ID, written)
        if ";" in label:
            raise VaultError(f"--vault-id {written}: a label cannot have a semicolon in it")
        secret = _asked(label, prompt) if source in PROMPTS else _from_path(source, label, keys)
        keys = keys.and_password(label, secret)
    return keys.and_password(DEFAULT_ID, _asked(DEFAULT_ID, prompt)) if ask else keys


def secret_of(path: str) -> bytes:
    """A password that a file holds or a script prints."""
    return _from_path(path, DEFAULT_ID, VaultKeys(), "password")


def typed(question: str) -> str:
    """A password from the terminal; where there is none, a line of standard input. Raises InputError at its end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # it says that it would go on with the echo on
            return getpass(question)
    except GetPassWarning:
        return piped()
    except EOFError:
        raise _none_given() from None


def piped() -> str:
    """A password that stands in a line of standard input."""
    line = sys.stdin.readline()
    if not line:
        raise _none_given()
    return line.rstrip("\r\n")


def _none_given() -> InputError:
    return InputError("no password was given", fix="type one, write it to standard input, or name a file with it")


def typed_beside_text(question: str) -> str:
    """The same where standard input brings the text itself: a line of it must not be taken for the password."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            return getpass(question)
    except (GetPassWarning, EOFError):
        raise InputError(
            "there is no terminal to ask for the vault password, and standard input brings the text",
            fix="pass --vault-password-file or --vault-id",
        ) from None


def twice(ask: Callable[[str], str]) -> Callable[[str], str]:
    """Ask again for a password that is to encrypt: a slip would lock its owner out."""

    def asked(question: str) -> str:
        secret = ask(f"New {question[0].lower()}{question[1:]}")
        if secret != ask(f"Confirm new {question[0].lower()}{question[1:]}"):
            raise VaultError("the passwords that were typed are not the same")
        return secret

    return asked


def _asked(label: str, prompt: Callable[[str], str]) -> bytes:
    secret = prompt(f"Vault password ({label}): " if label != DEFAULT_ID else "Vault password: ").strip()
    if not secret:
        raise VaultError("the vault password is empty")
    return secret.encode("utf-8")


def _from_path(path: str, label: str, keys: VaultKeys, what: str = "vault password") -> bytes:
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        raise VaultError(f"is a directory, not a {what} file", where=path)
    if not os.path.exists(path):
        raise VaultError(f"there is no such {what} file", where=path)
    secret = _printed(path, label) if os.access(path, os.X_OK) else _written(path, keys)
    if not secret:
        raise VaultError(f"holds no {what}: it is empty", where=path)
    return secret


def _written(path: str, keys: VaultKeys) -> bytes:
    try:
        with open(path, "rb") as file:
            text = file.read().strip()
    except OSError as error:
        raise VaultError(f"cannot be read: {error.strerror}", where=path) from None
    return keys.decrypt(text, path).strip() if is_encrypted(text) else text


def _printed(path: str, label: str) -> bytes:
    """What a script prints. It keeps the terminal for its own questions; a client script gets the label."""
    is_client = os.path.splitext(path)[0].endswith("-client")
    command = [path, "--vault-id", label] if is_client else [path]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise VaultError(
            f"cannot be run for a vault password: {error.strerror}", where=path, fix="if it is not a script: chmod -x"
        ) from None
    if is_client and done.returncode == _LABEL_UNKNOWN:
        raise VaultError(f"has no vault password under the label {label!r}", where=path)
    if done.returncode:
        raise VaultError(f"exited with {done.returncode} when asked for a vault password", where=path)
    return done.stdout.strip(b"\r\n")
