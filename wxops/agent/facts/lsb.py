"""What `lsb_release -a` says, mostly without running it: on older releases it is a Python program of 0.1 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.facts.distribution import os_release

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Tuple

    from wxops.agent.facts.host import Host

FIELDS = (("distributor id", "id"), ("description", "description"), ("release", "release"), ("codename", "codename"))
FILE_FIELDS = {"DISTRIB_" + fact.upper(): fact for _, fact in FIELDS}


def lsb(host: Host) -> Dict[str, Any]:
    facts = _from_file(host) or _from_command(host)
    if facts.get("release"):
        facts["major_release"] = facts["release"].split(".")[0]
    return {"lsb": facts}


def _from_file(host: Host) -> Dict[str, str]:
    """Ubuntu and its kin keep the answer in a file."""
    return _known((name, FILE_FIELDS, value) for name, _, value in
                  (line.partition("=") for line in host.lines("/etc/lsb-release")))  # fmt: skip


def _from_command(host: Host) -> Dict[str, str]:
    command = host.command("lsb_release")
    if not command:
        return {}
    release = os_release(host)
    if release.get("ID") == "debian" and "VERSION_ID" in release:
        return {"id": "Debian", "description": release["PRETTY_NAME"], "release": release["VERSION_ID"],
                "codename": release.get("VERSION_CODENAME", "n/a")}  # fmt: skip
    printed = (line.partition(":") for line in host.output(command, "-a").splitlines())
    return _known((name.lower(), dict(FIELDS), value) for name, _, value in printed)


def _known(entries: Iterable[Tuple[str, Dict[str, str], str]]) -> Dict[str, str]:
    return {names[name]: value.strip().strip("'\"\\") for name, names, value in entries if name in names}
