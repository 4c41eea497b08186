"""`wxruntime gateway`: the gateway in front of the engines."""

from __future__ import annotations

from pathlib import Path

import click

from wxruntime.cli.setting import setting


@click.command()
@setting("--config", type=click.Path(path_type=Path), required=True, help="Its settings: a YAML file.")
def gateway(config: Path) -> None:
    """Stand in front of engines: allowlist, queue, failover. Runs until SIGTERM; SIGHUP reads the file again.

    The file is explained by wxruntime/gateway/example.yaml.
    """
    from wxruntime.document import DocumentError
    from wxruntime.gateway.listener import CannotListen
    from wxruntime.gateway.serve import run

    try:
        run(config)
    except (CannotListen, DocumentError) as error:
        raise click.ClickException(str(error)) from error
