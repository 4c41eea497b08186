"""`wxruntime healthcheck`: what a container's health check runs."""

from __future__ import annotations

import click

from wxruntime.cli.setting import setting


@click.command()
@click.argument("url", required=False)
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds.")
@setting("--port", type=int, default=8000, hidden=True)
def healthcheck(url: str | None, timeout: float, port: int) -> None:
    """Exit 0 when URL answers 200, else 1 with the reason. URL is /ready of the server on this machine by default."""
    from wxruntime.healthcheck import probe

    if fault := probe(url or f"http://127.0.0.1:{port}/ready", timeout):
        raise click.ClickException(fault)
