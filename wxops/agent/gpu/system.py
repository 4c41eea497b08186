"""The operating system under the GPUs: release, kernel, clock, memory, and whether it boots only signed modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.facts.distribution import os_release
from wxops.agent.facts.mounts import LOCAL, may_hang, room
from wxops.agent.facts.virtual import virtualization
from wxops.agent.gpu.reading import not_supported, read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.reading import Reading

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs", "squashfs", "erofs", "iso9660", "udf")
"""File systems that have no room for a model."""
STA_UNSYNC = 0x40
TIMEX_BYTES = 208  # struct timex of 64 bits; `status` is its fifth field, after four of eight bytes each
TIMEX_STATUS = 40


def system(host: Host) -> Dict[str, Any]:
    kernel, release = os.uname(), os_release(host)
    memory = _memory(host)
    return {
        "hostname": kernel.nodename, "os_id": release.get("ID", ""), "os_version": release.get("VERSION_ID", ""),
        "os_name": release.get("PRETTY_NAME", ""), "kernel": kernel.release, "architecture": kernel.machine,
        "boot_id": host.read("/proc/sys/kernel/random/boot_id"), "uptime_s": _uptime(host),
        "secure_boot": secure_boot(host), "time_synchronized": time_synchronized(),
        "memory_total": memory.get("MemTotal", 0), "memory_available": memory.get("MemAvailable", 0),
        "virtualization": _virtualization(host),
    }  # fmt: skip


def _uptime(host: Host) -> float:
    words = host.read("/proc/uptime").split()
    return float(words[0]) if words else 0.0


def _memory(host: Host) -> Dict[str, int]:
    """Bytes by the names of /proc/meminfo."""
    fields = (line.split() for line in host.lines("/proc/meminfo"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if len(words) == 3}


def _virtualization(host: Host) -> str:
    found = virtualization(host)
    return str(found["virtualization_type"]) if found["virtualization_role"] == "guest" else ""


def secure_boot(host: Host) -> Reading:
    """The fifth byte of the firmware's variable; the first four are its attributes."""
    if not host.exists("/sys/firmware/efi"):
        return not_supported("the host was not booted by UEFI")
    try:
        with open(host.root + SECURE_BOOT, "rb") as file:
            return read(file.read()[4:5] == b"\1")
    except OSError as error:
        return unknown("%s: %s" % (SECURE_BOOT, error.strerror))


def time_synchronized() -> Reading:
    """As the kernel knows it, whatever daemon keeps its clock: `timedatectl` and `chronyc` answer from here, too."""
    import ctypes

    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # its first field, what to set, is 0: nothing
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return unknown("the kernel does not tell of its clock")
    return read(not timex.raw[TIMEX_STATUS] & STA_UNSYNC)


def disks(host: Host) -> List[Dict[str, Any]]:
    """Mounted file systems that can hold models, each disk once, at its shortest path; none that may hang."""
    fields = sorted((line.split() for line in host.lines("/proc/self/mounts")), key=lambda words: len(words[1]))
    kinds = {words[1]: words[2] for words in fields}
    found: Dict[str, Dict[str, Any]] = {}
    for device, mount, kind, *_ in fields:
        layered = kind == "overlay" and mount != "/"  # a container's
        if device in found or layered or kind not in LOCAL or kind in IN_MEMORY or may_hang(mount, kinds):
            continue
        about = room(host.root + mount)
        if about.get("size_total"):
            found[device] = {"mount": mount, "total": about["size_total"], "free": about["size_available"]}
    return list(found.values())
