"""Facts of mounts, from the tables that a task names: what is mounted, and what fstab says should be."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from wxops.agent.facts.mounts import rooms_within
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Raw
    from wxops.agent.change import Change

    Entry = Dict[str, Any]

STATIC, DYNAMIC = ["/etc/fstab"], ["/etc/mtab", "/proc/mounts"]
LINE_OF_MOUNT = re.compile(r"^(?P<device>\S+) on (?P<mount>\S+) type (?P<fstype>\S+) \((?P<options>.+)\)$")
UUIDS = "/dev/disk/by-uuid"
FOREVER = 20 * 86400.0  # poll(2) takes no more


def mount_facts(
    change: Change,
    devices: Optional[List[str]] = None,
    fstypes: Optional[List[str]] = None,
    sources: Optional[List[str]] = None,
    mount_binary: Raw = "mount",
    timeout: Optional[float] = None,
    on_timeout: Literal["error", "warn", "ignore"] = "error",
    include_aggregate_mounts: Optional[bool] = None,
) -> Dict[str, Any]:
    """Tell of mounts as `ansible_facts.mount_points`, by mount point.

    devices: patterns (fnmatch) of the devices to tell of.
    fstypes: patterns of the file systems' types.
    sources: tables to read: dynamic (what is mounted), static (fstab), all, paths of tables, or mount (the command).
        Of a mount point in several of them the first counts.
    mount_binary: the command that `mount` stands for; null for none.
    timeout: seconds for each mount to tell its room; without one there is no end to a dead server.
    on_timeout: fail, warn, or leave the room out.
    include_aggregate_mounts: also return all of them, those of one mount point too, as `aggregate_mounts`.
    """
    if timeout is not None and timeout <= 0:
        raise ModuleFailure("argument 'timeout' must be a positive number or null, not %g" % timeout)
    if mount_binary is not None and not isinstance(mount_binary, str):
        raise ModuleFailure("argument 'mount_binary' must be a string or null, not %s" % mount_binary)
    entries = [entry for source in _sources(change, sources) for entry in _entries(source, mount_binary, timeout)]
    entries = [entry for entry in entries if _wanted(entry, devices, fstypes)]
    _add_rooms(change, entries, timeout, on_timeout)
    points: Dict[str, Entry] = {}
    for entry in entries:
        points.setdefault(entry["mount"], entry)
    if include_aggregate_mounts is None:
        _warn_of_repeats(change, entries)
    facts = {"mount_points": points, "aggregate_mounts": entries if include_aggregate_mounts else []}
    return {"ansible_facts": facts}


def _sources(change: Change, asked: Optional[List[str]]) -> List[str]:
    """Paths and the word `mount`, each once: /etc/mtab is the same as /proc/mounts."""
    names: List[str] = []
    for source in asked or ["all"]:
        if not source:
            raise ModuleFailure("sources contains an empty string")
        known = {"all": DYNAMIC + STATIC, "dynamic": DYNAMIC, "static": STATIC}
        names += known.get(source, [source])
    if len(set(names)) < len(names):
        change.warnings.append("mount_facts: repeated sources are read once: %s" % ", ".join(names))
    places = {("mount" if name == "mount" else os.path.realpath(name)): name for name in reversed(names)}
    return list(reversed(list(places.values())))


def _entries(source: str, mount_binary: Optional[str], timeout: Optional[float]) -> List[Entry]:
    if source == "mount":
        done = run([mount_binary or "mount"], timeout=timeout)
        if done.rc != 0:
            raise ModuleFailure("Failed to execute %s: %s" % (mount_binary, done.stderr.strip()))
        found = [LINE_OF_MOUNT.match(line) for line in done.stdout.splitlines()]
        return [_about(source, each.group(0), each.groupdict()) for each in found if each is not None]
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return []  # a table that is missing names nothing
    return [_about(source, line, _fields(line)) for line in lines if len(line.split()) >= 4 and line[0] != "#"]


def _fields(line: str) -> Entry:
    fields = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), field) for field in line.split()]
    entry: Entry = dict(zip(("device", "mount", "fstype", "options"), fields))
    numbers = [int(field) for field in fields[4:6] if field.isdigit()]
    return dict(entry, **dict(zip(("dump", "passno"), numbers)))


def _about(source: str, line: str, fields: Entry) -> Entry:
    device = fields["device"]
    if device.startswith("UUID="):
        uuid: Optional[str] = device.partition("=")[2]
    else:
        uuid = _uuid(device)
    return dict(fields, uuid=uuid, ansible_context={"source": source, "source_data": line})


def _uuid(device: str) -> Optional[str]:
    try:
        found = os.listdir(UUIDS)
    except OSError:
        return None
    return next((uuid for uuid in found if os.path.realpath(os.path.join(UUIDS, uuid)) == device), None)


def _wanted(entry: Entry, devices: Optional[List[str]], fstypes: Optional[List[str]]) -> bool:
    device = entry["device"]
    if device.startswith("UUID=") and os.path.exists(os.path.join(UUIDS, entry["uuid"])):
        device = os.path.realpath(os.path.join(UUIDS, entry["uuid"]))
    return any(fnmatch(device, pattern) for pattern in devices or ["*"]) and any(
        fnmatch(entry["fstype"], pattern) for pattern in fstypes or ["*"]
    )


def _add_rooms(change: Change, entries: List[Entry], timeout: Optional[float], on_timeout: str) -> None:
    """Each mount point is asked by a child of its own, all at once: one that hangs holds nobody."""
    points = list(dict.fromkeys(entry["mount"] for entry in entries))
    rooms = rooms_within("", points, timeout or FOREVER)
    for entry in entries:
        room = rooms[entry["mount"]]
        if room.get("note", "").endswith("timeout"):
            said = "Timed out getting mount size for mount %s (type %s)" % (entry["mount"], entry["fstype"])
            if on_timeout == "error":
                raise ModuleFailure(said)
            if on_timeout == "warn" and said not in change.warnings:
                change.warnings.append(said)
        entry.update({name: value for name, value in room.items() if name != "note"})


def _warn_of_repeats(change: Change, entries: List[Entry]) -> None:
    repeated: Dict[str, List[str]] = {}
    seen = set()
    for entry in entries:
        key = (entry["ansible_context"]["source"], entry["mount"])
        if key in seen:
            repeated.setdefault(key[0], []).append(key[1])
        seen.add(key)
    if repeated:
        told = "; ".join("%s (%s)" % (source, ", ".join(points)) for source, points in repeated.items())
        change.warnings.append(
            "mount_facts: several mounts at one place in %s: only the first is told. Set 'include_aggregate_mounts'"
            % told
        )
