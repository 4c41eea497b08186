"""The environment that commands of this run inherit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def environment(host: Host) -> Dict[str, Any]:
    """Bytes that are not UTF-8 are replaced: facts travel as JSON."""
    return {"env": {_text(name): _text(value) for name, value in os.environ.items()}}


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
