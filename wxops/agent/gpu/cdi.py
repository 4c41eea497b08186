"""CDI specifications on the host: which devices they name, and of which driver the libraries are that they mount."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

FOLDERS = ("/etc/cdi", "/var/run/cdi", "/run/cdi")
KIND = re.compile(r"(?:^|[{\s,])[\"']?kind[\"']?:\s*[\"']?([^\s\"',]+)")
NAME = re.compile(r"^\s*(?:-\s+)?name:\s*[\"']?([^\s\"',]+)")
LIBRARY = re.compile(r"/lib(?:nvidia-ml|cuda)\.so\.(\d+\.\d+(?:\.\d+)?)\b")


def cdi(host: Host) -> List[Dict[str, Any]]:
    found, seen = [], set()
    for folder in FOLDERS:
        for name in sorted(host.names(folder)):
            text = host.read("%s/%s" % (folder, name))
            kind, library = KIND.search(text), LIBRARY.search(text)
            if kind and name.endswith((".yaml", ".yml", ".json")) and (name, text) not in seen:
                seen.add((name, text))  # /var/run is a link to /run
                found.append({
                    "path": "%s/%s" % (folder, name), "kind": kind.group(1),
                    "driver_version": library.group(1) if library else "",
                    "devices": ["%s=%s" % (kind.group(1), device) for device in device_names(text)],
                })  # fmt: skip
    return found


def device_names(text: str) -> List[str]:
    """The names in the list `devices` of the whole, in JSON or in YAML as nvidia-ctk writes it: at the margin."""
    if text.startswith("{"):
        return [str(device.get("name")) for device in json.loads(text).get("devices") or []]
    found: List[str] = []
    inside = False
    for line in text.splitlines():
        if line[:1] not in ("", " ", "-", "#"):
            inside = line.startswith("devices:")
        match = NAME.match(line) if inside else None
        if match:
            found.append(match.group(1))
    return found
