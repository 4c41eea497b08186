"""`wxops lab`: real Debian hosts on this machine, brought up, shown, entered and taken down."""

from __future__ import annotations

import json
import os

import click

from wxops.cli import completion
from wxops.cli.group import Group


@click.group(cls=Group)
def lab() -> None:
    """Real Debian hosts on this machine, to try things on."""


@lab.command()
@click.argument("count", type=click.IntRange(1, 39), default=2, metavar="[N]")
def up(count: int) -> None:
    """Have N hosts running, by default 2.

    Those that run already stay as they are. The first time builds a root file system, which takes about two minutes;
    later ones boot in seconds.
    """
    from wxops.lab import Lab

    running = Lab()
    for host in running.up(count):
        click.echo(f"{host.name}  {host.address}")
    click.echo(f"inventory: {running.inventory}")


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(as_json: bool) -> None:
    """Show the lab's hosts, its registry and its inventory."""
    from wxops.lab import Lab

    shown = Lab().status()
    if as_json:
        click.echo(json.dumps(shown.as_dict(), indent=2))
        return
    if not shown.hosts:
        click.echo(f"Lab {shown.lab} is down. `wxops lab up` boots it.")
        return
    for host in shown.hosts:
        click.echo(f"{host.name:<12} {host.address:<15} {host.state:<12} {host.memory / 2**20:7.0f} MiB")
    click.echo(f"registry:  {shown.registry}")
    click.echo(f"inventory: {shown.inventory}")


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("host", shell_complete=completion.lab_hosts)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(host: str, command: tuple[str, ...]) -> None:
    """Log in to HOST as root, or run COMMAND there."""
    from wxops.lab import Lab

    argv = [*Lab().host(host).ssh_argv(), *command]
    os.execvp(argv[0], argv)


@lab.command()
@click.option("--all", "every", is_flag=True, help="Every lab on this machine, also those of tests and crashed runs.")
def down(every: bool) -> None:
    """End the hosts and remove what the lab put here.

    The root file system stays cached.
    """
    from wxops.lab import Lab

    for one in Lab.all() if every else [Lab()]:
        one.down()
        click.echo(f"Lab {one.name} is down.")


@lab.command()
def inventory() -> None:
    """Print the path of the lab's inventory.

    It is for -i of wxops and of ansible-playbook.
    """
    from wxops.errors import LabError
    from wxops.lab import Lab

    path = Lab().inventory
    if not path.exists():
        raise LabError("The lab is down, so it has no inventory.", fix="Run `wxops lab up` first.")
    click.echo(path)
