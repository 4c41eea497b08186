"""`wxops inventory`: hosts, groups and variables as a run would see them, and whether the hosts answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.cli.group import Group

if TYPE_CHECKING:
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.vault import VaultKeys

PLAYBOOK_DIR = click.option(
    "--playbook-dir",
    metavar="DIR",
    default=".",
    show_default="the working directory",
    help="Where a playbook's group_vars/ and host_vars/ are.",
)


@click.group(cls=Group)
def inventory() -> None:
    """Show hosts, groups and variables as a run would see them, and reach the hosts."""


@inventory.command("list")
@click.argument("pattern", default="all", shell_complete=completion.hosts)
@click.option("--host", metavar="HOST", shell_complete=completion.hosts, help="Only the variables of this host.")
@click.option("--yaml", "as_yaml", is_flag=True, help="As an inventory file in YAML; otherwise JSON.")
@PLAYBOOK_DIR
@flags.options(flags.INVENTORY, flags.LIMIT, flags.VAULT)
def list_(pattern: str, host: str | None, as_yaml: bool, playbook_dir: str, limit: str | None, **given: Any) -> None:
    """List the hosts of PATTERN, their groups and variables.

    PATTERN is by default all. The shape is that of `ansible-inventory --list`. What a vault holds is shown as its
    ciphertext or as ***.
    """
    from wxops.playbook.inventory_listing import Listing, to_yaml

    known = _inventory(given)
    known.require_known(pattern, "PATTERN")
    listing = Listing(known, known.select(pattern, limit), playbook_dir)
    if as_yaml:
        click.echo(to_yaml(listing.yaml_variables(host) if host else listing.as_yaml()), nl=False)
    else:
        data = listing.json_variables(host) if host else listing.as_json()
        click.echo(json.dumps(data, indent=4, sort_keys=True, ensure_ascii=False))


@inventory.command()
@click.argument("group", default="all", shell_complete=completion.hosts)
@click.option("--vars", "show_vars", is_flag=True, help="Variables too.")
@PLAYBOOK_DIR
@flags.options(flags.INVENTORY, flags.VAULT)
def graph(group: str, show_vars: bool, playbook_dir: str, **given: Any) -> None:
    """Draw the tree of GROUP, by default all."""
    from wxops.playbook.inventory_listing import Tree

    for line in Tree(_inventory(given), playbook_dir, show_vars).lines(group):
        click.echo(line)


@inventory.command()
@click.argument("pattern", default="all", shell_complete=completion.hosts)
@flags.options(flags.INVENTORY, flags.LIMIT, flags.VARIABLES, flags.CONNECTION)
def ping(pattern: str, **given: Any) -> int:
    """Log in to the hosts of PATTERN as a run would.

    PATTERN is by default all. Nothing is changed. Exits with 4 when a host is unreachable, with 2 when one answers but
    cannot be used.
    """
    from wxops.engine.ping import ping as ask
    from wxops.playbook.settings import Settings

    options = flags.run_options(given, Settings.load())
    known = _inventory(given, options.vault)
    known.require_known(pattern, "PATTERN")
    hosts = [host.name for host in known.require_hosts(pattern, options.limit)]
    code, width = 0, max(map(len, hosts), default=0)
    for answer in ask(known, hosts, options):
        code = max(code, 4 if answer.unreachable else 2 if answer.error else 0)
        mark = click.style("failed", fg="red") if answer.error else click.style("ok", fg="green")
        click.echo(f"{answer.host:<{width}}  {mark}  {answer.error or f'Python {answer.python}, as {answer.user}'}")
    return code


def _inventory(given: dict[str, Any], keys: VaultKeys | None = None) -> Inventory:
    """The inventory of -i, else of wxops.toml, opened with the passwords of the flags, else of wxops.toml."""
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.settings import Settings

    settings = Settings.load()
    sources = flags.inventory_sources(given["inventory"], settings)
    known = Inventory.load(sources, flags.vault_keys_of(given, settings) if keys is None else keys)
    for name in known.clashes:
        click.echo(f"warning: {name!r} is a host and a group; a pattern means the host", err=True)
    return known
