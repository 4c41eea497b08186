"""`wxops init`: a new project in a directory."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("--force", is_flag=True, help="Replace files that are there and differ; each is named.")
def init(directory: str, force: bool) -> None:
    """Write a new project into DIR (default: here): inventory, group_vars, a playbook and wxops.toml."""
    from pathlib import Path

    from wxops.scaffold import write_project

    for written in write_project(Path(directory), force):
        click.echo(f"{written.outcome:<10} {written.path}")
    click.echo("\nNext: put your hosts into inventories/hosts.yml; README.md says how to go on.")
