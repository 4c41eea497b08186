"""OpenSSL as the distribution keeps it: what is installed, what it offers, and who still runs the one before."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from wxops.agent.gpu.reading import read, unknown
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Tuple

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.packages import Installed
    from wxops.agent.gpu.processes import Processes
    from wxops.agent.gpu.reading import Reading

    Offers = Dict[str, Tuple[str, bool]]

NAME = re.compile(r"(openssl(-libs)?|libssl\d[\w.]*|libopenssl\d*|compat-openssl\d+)$")
NOT_KNOWN = ("", False)
LISTS = "/var/lib/apt/lists"
FETCHED = ("/var/lib/apt/periodic/update-success-stamp", LISTS, "/var/cache/dnf/last_makecache", "/var/cache/dnf")
CANDIDATE = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)\n  Version table:\n((?:   .*\n?)*)", re.MULTILINE)
OF_DPKG = re.compile(r"^Package: dpkg\n(?:.+\n)*?Architecture: (\S+)$", re.MULTILINE)


def offers(host: Host, installed: Installed) -> Offers:
    """What the distribution would install now of OpenSSL's packages, and whether that is from a security archive."""
    names = sorted(name for name in installed if NAME.match(name))
    return _of_apt(host, names) or _of_dnf(host, {name: str(installed[name]["version"]) for name in names})


def openssl(
    host: Host, installed: Installed, offered: Offers, processes: Processes, containers: Mapping[str, str]
) -> Dict[str, Any]:
    """containers: name by id."""
    names = sorted(name for name in installed if NAME.match(name))
    packages = [_package(name, installed[name], offered.get(name, NOT_KNOWN)) for name in names]
    return {"version": _version(host), "packages": packages, "index_day": _index_day(host),
            "restart_needed": _restarts(processes, containers)}  # fmt: skip


def _index_day(host: Host) -> str:
    """The day on which apt's or dnf's lists were last fetched: what they do not have may be out since."""
    times = []
    for path in FETCHED:
        try:
            times.append(os.stat(host.root + path).st_mtime)
        except OSError:
            continue  # this host keeps its lists elsewhere
    return time.strftime("%Y-%m-%d", time.gmtime(max(times))) if times else ""


def _package(name: str, about: Dict[str, Any], offered: Tuple[str, bool]) -> Dict[str, Any]:
    return dict(about, name=name, candidate=offered[0], security=offered[1])


def _version(host: Host) -> str:
    program = host.command("openssl")
    return " ".join(host.output(program, "version").split()[:2]) if program else ""


def _of_apt(host: Host, names: List[str]) -> Offers:
    """What apt would install now, and whether a security archive has it; nothing where apt has no lists."""
    command = host.command("apt-cache")
    if not names or not command or not any(name.endswith(("Packages", "Packages.lz4")) for name in host.names(LISTS)):
        return {}
    told = CANDIDATE.findall(host.output(command, *_architectures(host), "policy", *names))
    return {name: (version, _from_security(version, table)) for name, version, table in told if version != "(none)"}


def _architectures(host: Host) -> List[str]:
    """Those that apt would ask dpkg for, as its option: it starts dpkg four times, which takes a third of its time.

    dpkg's own comes first and the others as dpkg keeps them, for a list unlike its cache's makes apt build another.
    """
    own = OF_DPKG.findall(host.read("/var/lib/dpkg/status"))
    names = own + [name.strip() for name in host.lines("/var/lib/dpkg/arch") if own and name.strip() not in own]
    return [word for name in names for word in ("-o", "APT::Architectures::=" + name)]


def _from_security(version: str, table: str) -> bool:
    """Does a security archive (bookworm-security, noble-security, debian-security) list this version?"""
    section = re.search(r"^ (?:\*\*\*|   ) %s .*\n((?:        .*\n?)*)" % re.escape(version), table, re.MULTILINE)
    return section is not None and re.search(r"[a-z]-security\b", section.group(1)) is not None


def _of_dnf(host: Host, versions: Dict[str, str]) -> Offers:
    """From what dnf has in its cache: an audit does not go to the network. versions: what is installed, by name."""
    command = host.command("dnf")
    if not versions or not command or not host.names("/var/cache/dnf"):
        return {}
    asked = [command, "-C", "-q", "repoquery", "--upgrades", "--latest-limit=1", "--queryformat", "%{name} %{evr}\\n"]
    done = run([*asked, *versions], environment={"LC_ALL": "C"}, timeout=host.timeout)
    if done.rc:
        return {}
    newer = dict(line.strip().split(None, 1) for line in done.stdout.splitlines() if " " in line.strip())
    security = host.output(command, "-C", "-q", "updateinfo", "list", "--security", *newer) if newer else ""
    return {
        name: (newer.get(name, version), "%s-%s" % (name, newer.get(name)) in security)
        for name, version in versions.items()
    }


def _restarts(processes: Processes, containers: Mapping[str, str]) -> Reading:
    """As an operator would restart them: a container, a service, else a process; each once."""
    found = {}
    for process in processes.all:
        if not process.old_ssl:
            continue
        if process.container:
            who = "container %s" % containers.get(process.container, process.container[:12])
        else:
            who = process.unit or "%s (process %d)" % (process.name, process.pid)
        found[who] = True
    return unknown(processes.unseen) if processes.unseen and not found else read(sorted(found))
