"""Flags that several commands share, named as ansible-playbook names them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wxops.cli import completion
from wxops.errors import InputError, Origin

if TYPE_CHECKING:
    from wxops.engine.options import RunOptions
    from wxops.playbook.settings import Settings
    from wxops.playbook.vault import VaultKeys

Command = Callable[..., Any]

SECONDS = click.FloatRange(min=0, max=86400, min_open=True)
FILE: dict[str, Any] = {"metavar": "FILE", "shell_complete": completion.files}


def without(why: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """For a flag of ansible-playbook's that has no meaning here: it is refused, never passed over."""

    def refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            raise InputError(f"{parameter.opts[-1]}: {why}")

    return refuse


INVENTORY = click.option(
    "-i",
    "--inventory",
    "--inventory-file",
    "inventory",
    multiple=True,
    metavar="INV",
    shell_complete=completion.files,
    help="Inventory file, directory or `host1,host2,`; may repeat.",
)
LIMIT = click.option("-l", "--limit", metavar="PATTERN", shell_complete=completion.hosts, help="Only these hosts.")
CONNECTION = [
    click.option("-u", "--user", "remote_user", metavar="USER", help="Log in as this user."),
    click.option("--private-key", "--key-file", "private_key", **FILE, help="Log in with this key."),
    click.option("-c", "--connection", metavar="KIND", help="ssh or local."),
    click.option("--ssh-common-args", metavar="ARGS", help="ssh's own: -o Key=value, -J, -i, -F, -p, -l."),
    click.option("--ssh-extra-args", metavar="ARGS", help="More of them."),
    *(
        click.option(f"--{name}-extra-args", hidden=True, expose_value=False, callback=without(f"{name} is not used"))
        for name in ("sftp", "scp")
    ),
    click.option("-k", "--ask-pass", is_flag=True, help="Ask for the login password."),
    click.option(
        "--connection-password-file", "--conn-pass-file", "connection_password_file",
        **FILE, help="Read the login password from a file or script.",
    ),
    click.option("-b", "--become", is_flag=True, default=None, help="Become another user (root) with sudo."),
    click.option("--become-method", metavar="METHOD", help="How to become that user (sudo)."),
    click.option("--become-user", metavar="USER", help="The user to become."),
    click.option("-K", "--ask-become-pass", is_flag=True, help="Ask for sudo's password."),
    click.option(
        "--become-password-file", "--become-pass-file", "become_password_file",
        **FILE, help="Read sudo's password from a file or script.",
    ),
    click.option(
        "--accept-new", is_flag=True, default=None, help="Record keys of unknown hosts; a changed key always stops."
    ),
    click.option("-T", "--timeout", type=SECONDS, metavar="SECONDS", help="For each hop to answer."),
    click.option("-f", "--forks", type=click.IntRange(1), metavar="N", help="Hosts worked on at the same time (100)."),
]  # fmt: skip
VAULT = [
    click.option("--vault-id", multiple=True, metavar="LABEL@SOURCE", help="A vault password; may repeat."),
    click.option(
        "--vault-password-file", "--vault-pass-file", "vault_password_file",
        multiple=True, **FILE, help="A file or script.",
    ),
    click.option("-J", "--ask-vault-pass", "--ask-vault-password", is_flag=True, help="Ask for the vault password."),
]  # fmt: skip
VARIABLES = [
    click.option(
        "-e", "--extra-vars", multiple=True, metavar="VARS", help="key=value, YAML, JSON or @FILE; may repeat."
    ),
    *VAULT,
]
OUTPUT = [
    click.option(
        "--output", type=click.Choice(["live", "plain", "jsonl"]), help="live on a terminal, plain in a pipe."
    ),
    click.option(
        "-v", "--verbose", "verbosity", count=True, help="Show results, and what commands print while they run."
    ),
]
PLAYBOOK = [
    click.option("-t", "--tags", multiple=True, metavar="TAGS", help="Only tasks with these tags."),
    click.option("--skip-tags", multiple=True, metavar="TAGS", help="Not the tasks with these tags."),
    click.option("--start-at-task", metavar="NAME", help="Begin with the task of that name; * and ? stand for others."),
    click.option("--step", is_flag=True, help="Ask before each task."),
    click.option("--force-handlers", is_flag=True, help="Run notified handlers even where a task failed."),
    click.option("-C", "--check", is_flag=True, help="Change nothing; say what would change."),
    click.option("-D", "--diff", is_flag=True, help="Show what changes in files and settings."),
    click.option("--flush-cache", is_flag=True, help="Forget the facts of earlier runs."),
    click.option("--list-tasks", is_flag=True, help="List the tasks and stop."),
    click.option("--list-tags", is_flag=True, help="List the tags and stop."),
    click.option("--list-hosts", is_flag=True, help="List the hosts and stop."),
    click.option("--syntax-check", is_flag=True, help="Read everything, refuse what is wrong, and stop."),
    click.option(
        "-M", "--module-path", multiple=True, hidden=True, expose_value=False,
        callback=without("modules of your own are not loaded from a path; CONTRIBUTING.md says how to add one"),
    ),
]  # fmt: skip


def options(*groups: Any) -> Callable[[Command], Command]:
    """Several options as one decorator."""

    def decorate(command: Command) -> Command:
        for option in reversed(
            [option for group in groups for option in (group if isinstance(group, list) else [group])]
        ):
            command = option(command)
        return command

    return decorate


def run_options(flags: dict[str, Any], settings: Settings) -> RunOptions:
    """The options of a run: flags first, then wxops.toml."""
    from wxops.engine.fact_cache import cache_of
    from wxops.engine.options import RunOptions

    def given(name: str, setting: Any = None) -> Any:
        value = flags.get(name)
        return setting if value in (None, False, ()) else value

    vault = vault_keys_of(flags, settings)
    roles = [Path(path) for path in settings.roles_path]
    password = _password(
        flags.get("ask_pass") or settings.ask_pass,
        given("connection_password_file", settings.connection_password_file),
        "SSH password: ",
    )
    become_file = given("become_password_file", settings.become_password_file)
    return RunOptions(
        limit=flags.get("limit"),
        tags=_tags(given("tags", settings.tags)), skip_tags=_tags(given("skip_tags", settings.skip_tags)),
        extra_vars=extra_vars(flags.get("extra_vars") or (), vault),
        forks=given("forks", settings.forks), check=bool(flags.get("check")), diff=bool(given("diff", settings.diff)),
        force_handlers=bool(given("force_handlers", settings.force_handlers)), strategy=settings.strategy,
        error_on_missing_handler=settings.error_on_missing_handler, no_log=settings.no_log,
        verbosity=flags.get("verbosity") or settings.verbosity,
        become=given("become", settings.become or None),
        become_user=given("become_user", settings.become_user),
        become_method=given("become_method", settings.become_method),
        become_password=_become_password(flags, settings, become_file, password),
        password=password,
        remote_user=given("remote_user", settings.remote_user), port=settings.remote_port,
        private_key=given("private_key", settings.private_key_file),
        connection=given("connection", settings.connection),
        ssh_common_args=given("ssh_common_args", settings.ssh_common_args),
        ssh_extra_args=given("ssh_extra_args", settings.ssh_extra_args), ssh_args=settings.ssh_args,
        interpreter=settings.interpreter,
        accept_new=bool(given("accept_new", settings.accept_new)), timeout=given("timeout", settings.timeout),
        vault=vault, roles_path=(*roles, shared("playbooks") / "roles", *usual_places("roles")),
        collections_path=tuple(map(Path, settings.collections_path)) or usual_places("collections"),
        start_at_task=flags.get("start_at_task"), config_file=settings.config_file,
        managed=settings.managed,
        gathering=settings.gathering, flush_cache=bool(flags.get("flush_cache")),
        inject_facts_as_vars=settings.inject_facts_as_vars,
        private_role_vars=settings.private_role_vars,
        fact_cache=cache_of(settings.fact_caching, settings.fact_caching_connection, settings.fact_caching_timeout,
                            settings.fact_caching_prefix),
    )  # fmt: skip


def usual_places(kind: str) -> tuple[Path, ...]:
    """Where ansible-galaxy puts roles or collections, as far as they are there."""
    places = (f"~/.ansible/{kind}", f"/usr/share/ansible/{kind}", f"/etc/ansible/{kind}")
    return tuple(path for place in places if (path := Path(place).expanduser()).is_dir())


def tell_notices(settings: Settings) -> None:
    """What of Ansible's settings has no effect here."""
    for text in settings.notices:
        click.echo(f"[WARNING]: {text}", err=True)


def records(settings: Settings | None = None) -> Path:
    """Where the records of runs are: beside the project's wxops.toml, else in the user's state directory."""
    from wxops.engine.record import runs_directory
    from wxops.playbook.settings import Settings

    file = (settings or Settings.load()).file
    return runs_directory(Path(file).parent if file else None)


def shared(name: str) -> Path:
    """A directory that wxops brings along: beside the sources, or inside the installed package."""
    import wxops

    package = Path(wxops.__file__).parent
    installed = package / "share" / name
    return installed if installed.is_dir() else package.parent / name


def extra_vars(values: tuple[str, ...], vault: VaultKeys) -> dict[str, Any]:
    """`-e`: key=value pairs, YAML or JSON text, or @file."""
    from wxops.playbook import data_file
    from wxops.playbook.source import SourceStr, load_text

    found: dict[str, Any] = {}
    for value in values:
        origin = Origin("-e")
        if value.startswith("@"):
            found.update(data_file.read(value[1:], vault).load_variables())
        elif value.lstrip()[:1] in ("{", "["):
            loaded = load_text(value, "-e")
            if not isinstance(loaded, dict):
                raise InputError("-e takes a mapping", where=value)
            found.update(loaded)
        else:
            for word in _words(value):
                name, equals, text = word.partition("=")
                if not equals:
                    raise InputError(f"-e {value}: {word!r} is not key=value", fix="or pass YAML, JSON or @file")
                found[name] = SourceStr(text, origin)
    return found


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        raise InputError(f"-e {value}: {str(error).lower()}", fix="quote the value once more for wxops") from None


def inventory_sources(given: tuple[str, ...], settings: Settings) -> list[str]:
    """The inventories of the flags, else of wxops.toml."""
    sources = list(given or settings.inventory)
    if not sources:
        raise InputError(
            "no inventory is given", fix="name one with -i, or set `inventory` in wxops.toml (wxops init makes one)"
        )
    return sources


def _tags(values: Any) -> frozenset[str]:
    return frozenset(tag.strip() for value in values or () for tag in value.split(",") if tag.strip())


def _password(ask: Any, file: str | None, prompt: str) -> str | None:
    """A password typed, or read from a file or script; never from argv or the environment."""
    from wxops.playbook.vault_passwords import piped, secret_of, typed

    if file:
        return secret_of(file).decode("utf-8", "surrogateescape")
    if not ask:
        return None
    return typed(prompt) if sys.stdin.isatty() else piped()


def _become_password(
    flags: dict[str, Any], settings: Settings, file: str | None, login_password: str | None
) -> str | None:
    """With -k and -K, an empty answer to the second is the answer to the first, as in Ansible."""
    ask = flags.get("ask_become_pass") or (settings.ask_become_pass and not file)
    also = " [defaults to SSH password]" if login_password else ""
    return _password(ask, file, f"BECOME password{also}: ") or login_password if ask or file else None


def vault_keys_of(
    flags: dict[str, Any], settings: Settings, required: bool = False, prompt: Callable[[str], str] | None = None
) -> VaultKeys:
    """The vault passwords of the flags and settings. required: without any it is asked for."""
    from wxops.playbook.vault_passwords import vault_keys

    ids = (*settings.vault_identity_list, *(flags.get("vault_id") or ()))
    files = flags.get("vault_password_file") or tuple(filter(None, [settings.vault_password_file]))
    ask = bool(flags.get("ask_vault_pass") or settings.ask_vault_pass or (required and not (ids or files)))
    return vault_keys(ids, files, ask, prompt)
