"""The Python that runs this agent, and so every module."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def python(host: Host) -> Dict[str, Any]:
    version = sys.version_info
    return {
        "python": {
            "version": {"major": version.major, "minor": version.minor, "micro": version.micro,
                        "releaselevel": version.releaselevel, "serial": version.serial},
            "version_info": list(version),
            "executable": sys.executable,
            "has_sslcontext": find_spec("_ssl") is not None,  # importing ssl itself takes longer than all facts
            "type": sys.implementation.name,
        }
    }  # fmt: skip
