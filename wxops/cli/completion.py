"""`wxops completion SHELL`, and what the Tab key offers: files, modules, recorded runs, hosts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: wxops completion bash > /etc/bash_completion.d/wxops
    zsh:  wxops completion zsh > /usr/local/share/zsh/site-functions/_wxops
    fish: wxops completion fish > ~/.config/fish/completions/wxops.fish
    """
    from wxops.cli.main import cli

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(cli, {}, "wxops", "_WXOPS_COMPLETE").source())


def quietly(complete: Completer) -> Completer:
    """Offer nothing where the files to look in are missing or wrong: Tab is no moment for an error."""

    def offer(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return complete(context, parameter, begun)
        except Exception:
            return []

    return offer


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="file")]


def directories(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="dir")]


def modules(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from wxops.actions import catalog

    return [CompletionItem(name) for name in catalog.names() if name.startswith(begun)]


def audit_rules(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from wxops.audit.rule import rules

    return [CompletionItem(rule.id, help=rule.title) for rule in rules() if rule.id.startswith(begun)]


@quietly
def runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from wxops.cli.options import records
    from wxops.console.past import what
    from wxops.engine.record import past_runs

    found = [past for past in past_runs(records()) if past.run.startswith(begun)]
    return [CompletionItem(past.run, help=what(past.about)) for past in reversed(found)]


@quietly
def hosts(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Hosts and groups of the inventory, for the last name of a pattern: `gpu,!edge` completes `edge`."""
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.settings import Settings

    given: Any = context.params.get("inventory") or Settings.load().inventory
    inventory = Inventory.load(list(given))
    before, name = re.fullmatch(r"(.*[,:&!])?(.*)", begun, re.DOTALL).groups("")  # type: ignore[union-attr]
    names = sorted({*inventory.groups, *(host.name for host in inventory.select("all"))})
    return [CompletionItem(before + known) for known in names if known.startswith(name)]


@quietly
def lab_hosts(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from wxops.lab import Lab

    return [CompletionItem(host.name) for host in Lab().hosts if host.name.startswith(begun)]
