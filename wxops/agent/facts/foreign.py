"""Facts of other programs, where they are installed: Puppet's facter and Chef's ohai."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def facter(host: Host) -> Dict[str, Any]:
    command = host.command("cfacter") or host.command("facter")
    if not command:
        return {}
    return _parsed(host.output(command, "--puppet", "--json") or host.output(command, "--json"))


def ohai(host: Host) -> Dict[str, Any]:
    command = host.command("ohai")
    return _parsed(host.output(command)) if command else {}


def _parsed(text: str) -> Dict[str, Any]:
    facts: Dict[str, Any] = json.loads(text) if text else {}
    return facts
