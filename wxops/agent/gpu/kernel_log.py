"""XID and SXID errors in the kernel's log since boot: what NVIDIA's driver said of its GPUs and NVSwitches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.gpu.reading import read, unknown
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.reading import Reading

XID = re.compile(r"NVRM: Xid \(PCI:(?P<address>[0-9a-fA-F:.]+)\): (?P<code>\d+),? ?(?P<text>.*)")
SXID = re.compile(r"SXid \(PCI:(?P<address>[0-9a-fA-F:.]+)\): (?P<code>\d+),? ?(?P<text>.*)")
TIME = re.compile(r"^(?:\[ *(?P<since_boot>[\d.]+)\]|(?P<clock>\d{4}-\d\d-\d\dT[\d:.,]+(?:[+-][\d:]+|Z)?))")
LONGEST = 300
PATTERNS_LACK = "pattern matching support"  # what a journalctl says that was built without


def kernel_log(host: Host) -> Dict[str, Reading]:
    """xids and sxids, each by device and code."""
    lines = _journal(host)
    if lines is None:
        lines = _dmesg(host)
    if lines is None:
        why = unknown("the kernel's log can be read neither by journalctl nor by dmesg: root may")
        return {"xids": why, "sxids": why}
    return {"xids": read(counted(lines, XID)), "sxids": read(counted(lines, SXID))}


def _journal(host: Host) -> Optional[List[str]]:
    """Since boot, also what the kernel's own buffer has lost; None when it has no lines of the kernel's."""
    command = host.command("journalctl")
    if not command:
        return None
    words = [command, "--dmesg", "--boot", "--quiet", "--no-pager", "--output=short-iso"]
    if not host.output(*words, "--lines=1").strip():
        return None
    done = run([*words, "--grep=Xid"], environment={"LC_ALL": "C"}, timeout=host.timeout)  # ends with 1 for no line
    if done.rc and PATTERNS_LACK in done.stderr:
        return host.output(*words).splitlines()
    return done.stdout.splitlines()


def _dmesg(host: Host) -> Optional[List[str]]:
    command = host.command("dmesg")
    text = host.output(command) if command else ""
    return text.splitlines() or None


def counted(lines: Iterable[str], pattern: Any) -> List[Dict[str, Any]]:
    found: Dict[Any, Dict[str, Any]] = {}
    for line in lines:
        match = pattern.search(line)
        if match is None:
            continue
        key = int(match["code"]), address_of(match["address"])
        count = found.get(key, {"count": 0})["count"] + 1
        found[key] = {"code": key[0], "pci_address": key[1], "count": count, "last": _time(line),
                      "text": match["text"].strip()[:LONGEST]}  # fmt: skip
    return list(found.values())


def address_of(told: str) -> str:
    """As sysfs has it: the driver leaves out the function, and before 2009 the domain."""
    parts = told.lower().split(":")
    if len(parts) == 2:
        parts = ["0000", *parts]
    address = ":".join([parts[0][-4:].rjust(4, "0"), *parts[1:]])
    return address if "." in address else address + ".0"


def _time(line: str) -> str:
    found = TIME.match(line)
    if found is None:
        return ""
    return found["clock"] or "%s s after boot" % found["since_boot"]
