"""The kernel, the machine's architecture and names, its load and uptime."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host

ROOT_INODES = {"btrfs": 256, "xfs": 128}  # of the topmost directory; 2 on ext4 and others


def platform(host: Host) -> Dict[str, Any]:
    kernel = os.uname()
    bits = 64 if sys.maxsize > 2**32 else 32
    fqdn = _fqdn(host, kernel.nodename)
    facts = {
        "system": kernel.sysname,
        "kernel": kernel.release,
        "kernel_version": kernel.version,
        "machine": kernel.machine,
        "architecture": _architecture(kernel.machine),
        "userspace_bits": str(bits),
        "python_version": "%d.%d.%d" % sys.version_info[:3],
        "nodename": kernel.nodename,
        "hostname": kernel.nodename.split(".")[0],
        "fqdn": fqdn,
        "domain": ".".join(fqdn.split(".")[1:]),
    }
    if kernel.machine == "x86_64" or facts["architecture"] == "i386":
        facts["userspace_architecture"] = "x86_64" if bits == 64 else "i386"
    machine_id = host.lines("/var/lib/dbus/machine-id") or host.lines("/etc/machine-id")
    if machine_id:
        facts["machine_id"] = machine_id[0]
    return facts


def _architecture(machine: str) -> str:
    return "i386" if machine in ("i386", "i486", "i586", "i686") else machine


def _fqdn(host: Host, nodename: str) -> str:
    """The name that the resolver gives this host. The resolver cannot be interrupted, so it runs beside us."""
    from socket import getfqdn
    from threading import Thread

    answer = []
    asking = Thread(target=lambda: answer.append(getfqdn()), daemon=True)
    asking.start()
    asking.join(host.timeout)
    if not answer:
        host.warn(
            "fqdn: the resolver gave no answer for %r within %g s; the host name stands in" % (nodename, host.timeout)
        )
    return answer[0] if answer else nodename


def chroot(host: Host) -> Dict[str, Any]:
    """Is `/` here another directory than the init process's? Without the right to see that: is it an inner one?"""
    if os.environ.get("debian_chroot"):  # noqa: SIM112 - Debian's own name for it
        return {"is_chroot": True}
    here = os.stat("/")
    try:
        there = os.stat("/proc/1/root/.")
    except OSError:
        return {"is_chroot": here.st_ino != ROOT_INODES.get(_root_file_system(host), 2)}
    return {"is_chroot": (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)}


def _root_file_system(host: Host) -> str:
    types = [line.split()[2] for line in host.lines("/proc/self/mounts") if line.split()[1] == "/"]
    return types[-1] if types else ""


def load(host: Host) -> Dict[str, Any]:
    one, five, fifteen = os.getloadavg()
    return {"loadavg": {"1m": one, "5m": five, "15m": fifteen}}


def uptime(host: Host) -> Dict[str, Any]:
    text = host.read("/proc/uptime")
    return {"uptime_seconds": int(float(text.split()[0]))} if text else {}
