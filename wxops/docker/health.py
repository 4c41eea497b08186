"""Waiting for a container's health check, and what the container said when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from wxops.docker.client import TunnelledClient

POLL_S = 1.0
LAST_LINES = 20


class Unhealthy(Exception):
    """Why the health check is not passed, with the container's last lines."""


def wait_until_healthy(
    client: TunnelledClient, container: str, timeout: float, sleep: Callable[[float], None]
) -> dict[str, Any]:
    """Wait until a container's health check passes; the container as inspected then. Raises Unhealthy."""
    deadline = time.monotonic() + timeout
    while True:
        found: dict[str, Any] = client.api.inspect_container(container)
        state = found["State"]
        health = state.get("Health") or {}
        if health.get("Status") == "healthy":
            return found
        if not (state["Running"] or state.get("Restarting")):
            raise Unhealthy(
                f"it ended with code {state['ExitCode']} {state.get('Error', '')}".strip() + _said(client, container)
            )
        if time.monotonic() > deadline:
            probes = [probe["Output"].strip() for probe in (health.get("Log") or [])[-1:]]
            why = f"; the check says: {probes[0]}" if probes and probes[0] else ""
            raise Unhealthy(
                f"still {health.get('Status', 'starting')} after {timeout:g} s{why}" + _said(client, container)
            )
        sleep(POLL_S)


def _said(client: TunnelledClient, container: str) -> str:
    text = client.api.logs(container, tail=LAST_LINES).decode("utf-8", "replace").rstrip()
    return f"\nIts last lines:\n{text}" if text else "\nIt printed nothing."
