"""The host's time zone, and what its hardware clock keeps."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change

ALIASES = {"rtc": "hwclock"}
ZONES = "/usr/share/zoneinfo"
LOCALTIME, DEBIAN_FILE, ADJTIME, RTC = "/etc/localtime", "/etc/timezone", "/etc/adjtime", "/dev/rtc"
NO_ADJUSTMENT = "0.0 0 0\n0\n"
"""The two lines before the mode in /etc/adjtime, of a clock that was never adjusted: adjtime_config(5)."""


def timezone(
    change: Change, name: Optional[str] = None, hwclock: Optional[Literal["local", "UTC"]] = None
) -> Dict[str, Any]:
    """Set the time zone. Programs that run already (cron) take it when they are restarted.

    name: the zone, as Asia/Shanghai.
    hwclock: whether the hardware clock keeps UTC or local time; it is set from the system's clock.
    """
    if name is None and hwclock is None:
        raise ModuleFailure("one of the following is required: hwclock, name")
    if name is not None:
        _set_zone(change, name)
    if hwclock is not None:
        _set_clock(change, "LOCAL" if hwclock == "local" else "UTC")
    return {}


def _set_zone(change: Change, name: str) -> None:
    file = os.path.join(ZONES, name)
    coming = change.check and change.view.pending("package")
    if ".." in name or (change.file(file, follow=True)["type"] != "file" and not coming):
        raise ModuleFailure('given timezone "%s" is not available: there is no %s' % (name, file))
    if _zone(change, file) != name:
        change.set("file", LOCALTIME, {"type": "link", "target": os.path.join("..", file.lstrip("/"))})
    said = change.read(DEBIAN_FILE)
    if said is not None and said.decode("utf-8", "replace").strip() != name:
        change.write(DEBIAN_FILE, name.encode() + b"\n")


def _zone(change: Change, file: str) -> Optional[str]:
    """The zone that is set; a copy of the wanted zone's file is that zone."""
    now = change.file(LOCALTIME)
    if now["type"] == "link":
        return re.sub(r"^.*/zoneinfo/", "", now["target"])
    wanted = change.file(file, follow=True)
    is_copy = now["type"] == wanted["type"] == "file" and now["content"].same(wanted["content"])
    return os.path.relpath(file, ZONES) if is_copy else None


def _set_clock(change: Change, mode: str) -> None:
    lines = (change.read(ADJTIME) or b"").decode("ascii", "replace").splitlines(True)
    now = lines[2].strip() if len(lines) > 2 else "UTC"
    if now == mode:
        return
    head = "".join(lines[:2]) if len(lines) > 1 else NO_ADJUSTMENT
    change.write(ADJTIME, (head + mode + "\n").encode())
    if os.path.exists(RTC):
        change.act("rtc", "keeps " + mode)
