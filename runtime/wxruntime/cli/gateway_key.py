"""`wxruntime gateway-key`: makes an API key for a client of the gateway."""

from __future__ import annotations

import hashlib
import secrets

import click


@click.command("gateway-key")
def gateway_key() -> None:
    """Make an API key: the key for the client, and its hash for `api_keys` in the gateway's file."""
    key = "wx-" + secrets.token_urlsafe(32)
    click.echo(f"key   {key}")
    click.echo(f"hash  sha256:{hashlib.sha256(key.encode()).hexdigest()}")
