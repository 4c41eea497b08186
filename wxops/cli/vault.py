"""`wxops vault`: secrets of a repository encrypted, read and changed; the format and the flags are ansible-vault's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.cli.group import Group
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.playbook.vault import VaultKeys

FILES = click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=completion.files)
NAMED = click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completion.files)
OUTPUT = click.option("--output", metavar="FILE", help="Write there instead of in place; - is stdout.")
LABEL = click.option("--encrypt-vault-id", metavar="LABEL", help="Which of the vault ids encrypts.")
PASSWORDS = [
    *flags.VAULT,
    click.option("-v", "--verbose", count=True, expose_value=False, hidden=True),  # in many scripts; says nothing more
]


class VaultGroup(Group):
    """Also by the name that ansible-vault has for one of them."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name.replace("_", "-"))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(context, [args[0].replace("_", "-"), *args[1:]])


@click.group(cls=VaultGroup)
def vault() -> None:
    """Encrypt, read and change secrets, in ansible-vault's format."""


@vault.command()
@FILES
@OUTPUT
@LABEL
@flags.options(PASSWORDS)
def encrypt(files: tuple[str, ...], output: str | None, encrypt_vault_id: str | None, **given: Any) -> None:
    """Encrypt files in place; without FILE, or for -, stdin to stdout."""
    from wxops.playbook.vault_file import check, encrypted, write

    check(files, encrypted=False)
    keys, label = _closing(given, encrypt_vault_id, _reads_stdin(files))
    done = [(target, encrypted(source, keys, label)) for source, target in _pairs(files, output, "plain text")]
    for target, data in done:  # all of them, or none when one cannot be
        write(target, data, wipe=True)
    _done("Encryption successful")


@vault.command()
@FILES
@OUTPUT
@flags.options(PASSWORDS)
def decrypt(files: tuple[str, ...], output: str | None, **given: Any) -> None:
    """Decrypt files in place; without FILE, or for -, stdin to stdout."""
    from wxops.playbook.vault_file import check, open_file, write

    check(files, encrypted=True)
    keys = _opening(given, _reads_stdin(files))
    done = [(target, open_file(source, keys).plain) for source, target in _pairs(files, output, "encrypted text")]
    for target, data in done:  # all of them, or none when one cannot be
        write(target, data)
    _done("Decryption successful")


@vault.command()
@NAMED
@flags.options(PASSWORDS)
def view(files: tuple[str, ...], **given: Any) -> None:
    """Show what is in encrypted files; the text never touches a disk."""
    from wxops.playbook.vault_file import check, open_file

    check(files, encrypted=True)
    keys = _opening(given, _reads_stdin(files))
    for path in files:
        text = open_file(path, keys).plain.decode("utf-8", "surrogateescape")
        click.echo_via_pager(text) if sys.stdout.isatty() else _print(text)


@vault.command()
@NAMED
@LABEL
@flags.options(PASSWORDS)
def edit(files: tuple[str, ...], encrypt_vault_id: str | None, **given: Any) -> None:
    """Open encrypted files in $EDITOR, and encrypt them again with the password and label that they had."""
    from wxops.console.editor import edited
    from wxops.playbook.vault_file import check, open_file, write

    if "-" in files:
        raise InputError("an editor needs a file, not standard input")
    check(files, encrypted=True)
    keys = _opening(given)
    for path in files:
        opened = open_file(path, keys)
        text = edited(opened.plain, path)
        if text != opened.plain or encrypt_vault_id:
            closing, label = (keys, encrypt_vault_id) if encrypt_vault_id else (opened.keys, opened.label)
            write(path, closing.encrypt(text, label).encode("ascii"))


@vault.command()
@click.argument("file")
@LABEL
@click.option("--skip-tty-check", is_flag=True, help="Start the editor also where there is no terminal.")
@flags.options(PASSWORDS)
def create(file: str, encrypt_vault_id: str | None, skip_tty_check: bool, **given: Any) -> None:
    """Write a new encrypted file in $EDITOR."""
    from wxops.console.editor import edited
    from wxops.playbook.vault_file import write

    if os.path.exists(file):
        raise InputError("is there already", where=file, fix=f"wxops vault edit {file}")
    if not (sys.stdout.isatty() or skip_tty_check):
        raise InputError("there is no terminal to open an editor in", fix="--skip-tty-check opens it nevertheless")
    keys, label = _closing(given, encrypt_vault_id)
    text = edited(b"", file)
    os.makedirs(os.path.dirname(os.path.realpath(file)), exist_ok=True)
    write(file, keys.encrypt(text, label).encode("ascii"))


@vault.command()
@NAMED
@LABEL
@click.option("--new-vault-id", metavar="LABEL@SOURCE", help="The new password.")
@click.option("--new-vault-password-file", **flags.FILE, help="The new password, from a file or script.")
@flags.options(PASSWORDS)
def rekey(
    files: tuple[str, ...], encrypt_vault_id: str | None, new_vault_id: str | None, new_vault_password_file: str | None,
    **given: Any,
) -> None:  # fmt: skip
    """Encrypt files with another password; without a flag for it, it is asked for."""
    from wxops.playbook.vault_file import check, rekeyed, write
    from wxops.playbook.vault_passwords import twice, typed, vault_keys

    if new_vault_id and new_vault_password_file:
        raise InputError("--new-vault-id and --new-vault-password-file say the same: give one of them")
    check(files, encrypted=True)
    keys = _opening(given)
    ids, sources = [new_vault_id] if new_vault_id else [], [new_vault_password_file] if new_vault_password_file else []
    new = vault_keys(ids, sources, not (ids or sources), twice(typed))
    label = encrypt_vault_id or new.passwords[0][0]
    done = [(path, rekeyed(path, keys, new, label)) for path in files]
    for path, data in done:  # all of them, or none: two passwords in one set of files are a trap
        write(path, data)
    click.echo("Rekey successful", err=True)


@vault.command("encrypt-string")
@click.argument("strings", nargs=-1, metavar="[STRING]...")
@click.option("-n", "--name", "names", multiple=True, metavar="NAME", help="The variable's name; may repeat.")
@click.option("--stdin-name", metavar="NAME", help="The name of the variable whose value comes on stdin.")
@click.option("-p", "--prompt", is_flag=True, help="Ask for the string.")
@click.option("--show-input", is_flag=True, help="Show the string as it is typed.")
@OUTPUT
@LABEL
@flags.options(PASSWORDS)
def encrypt_string(
    strings: tuple[str, ...], names: tuple[str, ...], stdin_name: str | None, prompt: bool, show_input: bool,
    output: str | None, encrypt_vault_id: str | None, **given: Any,
) -> None:  # fmt: skip
    """Encrypt strings as values for a YAML file; without STRING, or for -, what comes on stdin.

    A string on the command line stands in the shell's history and in the process list: stdin and --prompt do not.
    """
    from wxops.playbook.vault_file import write
    from wxops.playbook.vault_string import as_yaml, named_strings

    from_stdin = "-" in strings or stdin_name is not None or not (strings or prompt)
    if from_stdin and prompt:
        raise InputError("--prompt and stdin cannot both give the string")
    keys, label = _closing(given, encrypt_vault_id, from_stdin)
    values = [_typed(show_input)] if prompt else []
    values += [_from_stdin(stdin_name)] if from_stdin else []
    values += named_strings(names, [each for each in strings if each != "-"])
    for number, value in enumerate(values, 1):
        if not value.text:
            raise InputError(f"the string from {value.source} is empty: nothing was encrypted")
        if len(values) > 1:
            click.echo(value.comment(number), err=True)
    write(output or "-", "".join(as_yaml(keys.encrypt(v.text, label), v.name) for v in values).encode())
    _done("Encryption successful")


def _pairs(files: tuple[str, ...], output: str | None, what: str) -> list[tuple[str, str]]:
    """(source, target) of each file."""
    if output and len(files) > 1:
        raise InputError("--output takes one file, or all would be written there")
    if not files and sys.stdin.isatty():
        click.echo(f"Reading {what} from stdin (end with Ctrl-D)", err=True)
    return [(path, output or path) for path in files or ("-",)]


def _reads_stdin(files: tuple[str, ...]) -> bool:
    return not files or "-" in files


def _opening(given: dict[str, Any], from_stdin: bool = False) -> VaultKeys:
    """The passwords of the flags or settings; asked for when there is none. from_stdin: the text comes there."""
    from wxops.playbook.settings import Settings
    from wxops.playbook.vault_passwords import typed, typed_beside_text

    ask = typed_beside_text if from_stdin else typed
    return flags.vault_keys_of(given, Settings.load(), required=True, prompt=ask)


def _closing(given: dict[str, Any], label: str | None, from_stdin: bool = False) -> tuple[VaultKeys, str]:
    """The passwords, and the label of the one that encrypts."""
    from wxops.playbook.settings import Settings
    from wxops.playbook.vault_passwords import twice, typed, typed_beside_text

    settings = Settings.load()
    label = label or settings.vault_encrypt_identity
    keys = flags.vault_keys_of(given, settings, required=True, prompt=twice(typed_beside_text if from_stdin else typed))
    labels = [known for known, _ in keys.passwords]
    if label is None and len(labels) > 1:
        raise InputError(
            f"several vault ids could encrypt: {', '.join(labels)}", fix="name one with --encrypt-vault-id"
        )
    return keys, label or labels[0]


def _typed(show: bool) -> Any:
    from wxops.playbook.vault_string import Named

    name = click.prompt("Variable name (enter for no name)", default="", show_default=False, err=True)
    text = click.prompt("String to encrypt", hide_input=not show, err=True)
    return Named(text, name or None, "the prompt")


def _from_stdin(name: str | None) -> Any:
    from wxops.playbook.vault_string import Named

    if sys.stdin.isatty():
        click.echo("Reading the string from stdin (end with Ctrl-D, twice without a newline before)", err=True)
    return Named(sys.stdin.read(), name, "stdin")


def _print(text: str) -> None:
    """As it is, and a newline where it has none, like `ansible-vault view`."""
    sys.stdout.flush()
    sys.stdout.buffer.write((text if text.endswith("\n") else text + "\n").encode("utf-8", "surrogateescape"))


def _done(text: str) -> None:
    if sys.stdout.isatty():
        click.echo(text, err=True)
