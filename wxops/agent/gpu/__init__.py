"""All that an audit reads on a host, as the record of wxops/audit/record.py in JSON. Each area has a file.

Nothing here changes the host. A part that fails costs its own section and a note, never the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wxops.agent.facts.host import Host
from wxops.agent.gpu.fabric_manager import fabric_manager
from wxops.agent.gpu.kernel import module_on_disk, nouveau_loaded, nvidia_module
from wxops.agent.gpu.nvml import Nvml, unread
from wxops.agent.gpu.nvml_library import find_library
from wxops.agent.gpu.packages import installed, listed
from wxops.agent.gpu.pci import NVIDIA, pci
from wxops.agent.gpu.reading import read, unknown
from wxops.agent.gpu.system import disks, system

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from wxops.agent.gpu.reading import Reading

COMMAND_S = 10.0


class Gathering:
    """One look at a host. `record` grows part by part."""

    def __init__(self, host: Host, deadline: float) -> None:
        self.host, self.deadline = host, deadline
        self.started, self.clock = time.gmtime(), time.monotonic()
        self.record: Dict[str, Any] = {"notes": []}

    def gather(self) -> Dict[str, Any]:
        host = self.host
        driver = self._ask_driver()
        self.plain("system", system, host)
        self.plain("disks", disks, host)
        self.plain("pci", pci, host)
        self.plain("nvidia_module", nvidia_module, host)
        self.plain("nouveau_loaded", nouveau_loaded, host)
        packages = self.attempt("packages", installed, host)
        self.section("packages", listed, packages)
        self.plain("fabric_manager", fabric_manager, host, packages or {})
        if self._has_nvidia() or driver:
            self.plain("nvidia_module_on_disk", module_on_disk, host)
            self.plain("nvidia", driver.record if driver else lambda: unread("NVML_ERROR_LIBRARY_NOT_FOUND"))
        self.record["collected"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", self.started)
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        return self.record

    def _ask_driver(self) -> Optional[Nvml]:
        """The first of all: its answers come while the rest is read."""
        library = self.attempt("nvidia", find_library, self.host)
        return Nvml(library, self.deadline) if library else None

    def _has_nvidia(self) -> bool:
        devices = self.record.get("pci") or []
        return bool(self.record.get("nvidia_module")) or any(device["vendor"] == NVIDIA for device in devices)

    def plain(self, name: str, part: Callable[..., Any], *given: Any) -> None:
        """A section that is a value; without it the record has its default, and the notes say why."""
        found = self.attempt(name, part, *given)
        if found is not None:
            self.record[name] = found

    def section(self, name: str, part: Callable[..., Any], *given: Any) -> None:
        """A section that is a reading."""
        before = len(self.record["notes"])
        found = None if None in given else self.attempt(name, part, *given)
        why = self.record["notes"][before:] or self.record["notes"][-1:] or [""]
        self.record[name] = unknown(why[-1]) if found is None else as_reading(found)

    def attempt(self, name: str, part: Callable[..., Any], *given: Any) -> Any:
        """What the part finds; None when it fails."""
        try:
            return part(*given)
        except Exception as error:  # whatever a strange host makes of it
            self.record["notes"].append("%s: %s: %s" % (name, type(error).__name__, error))
            return None


def as_reading(found: Any) -> Reading:
    """Parts that know why they have nothing give a reading themselves."""
    is_reading = isinstance(found, dict) and bool(found) and set(found) <= {"value", "state", "detail"}
    return found if is_reading else read(found)


def gather(deadline: float, root: str = "") -> Dict[str, Any]:
    """The host's record. deadline: seconds that one call to a driver may take; root: look below this directory."""
    return Gathering(Host(root=root, timeout=COMMAND_S), deadline).gather()
