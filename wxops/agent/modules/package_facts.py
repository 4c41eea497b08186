"""What packages are installed, as the fact `packages`. Changes nothing."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import environment
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change

    Found = List[Dict[str, Any]]

SAME = {"dnf": "rpm", "dnf5": "rpm", "yum": "rpm", "zypper": "rpm"}
RPM_FIELDS = ("name", "version", "release", "epoch", "arch")
NONE = "(none)"


def package_facts(
    change: Change, manager: Optional[List[str]] = None, strategy: Literal["first", "all"] = "first"
) -> Dict[str, Any]:
    """Return the installed packages as the fact `packages`: name -> a list of versions, each with what is known of it.

    apt gives name, version, arch, category and origin; rpm name, version, release, epoch and arch.

    manager: apt, rpm (or dnf, yum, zypper, which mean the same), or `auto` for what the host has.
    strategy: stop at the first manager that knows packages, or ask all of them.
    """
    asked = [SAME.get(name.lower(), name.lower()) for name in manager or ["auto"]]
    wanted = [name for each in asked for name in (list(MANAGERS) if each == "auto" else [each])]
    unknown = sorted(set(wanted) - set(MANAGERS))
    if unknown:
        raise ModuleFailure("Unsupported package managers requested: %s; there are apt and rpm" % ", ".join(unknown))
    packages: Dict[str, Found] = {}
    for name in dict.fromkeys(wanted):
        if strategy == "first" and packages:
            break
        found = _listed(change, name, warn=name in asked)
        for package in found:
            packages.setdefault(package["name"], []).append(dict(package, source=name))
    if not packages:
        raise ModuleFailure("Could not detect a supported package manager from the following list: %s" % wanted)
    return {"ansible_facts": {"packages": packages}}


def _listed(change: Change, manager: str, warn: bool) -> Found:
    command, listed = MANAGERS[manager]
    if shutil.which(command) is None:
        if warn:
            change.warnings.append("Requested package manager %s was not usable by this module: no %s"
                                   % (manager, command))  # fmt: skip
        return []
    found: Found = listed(change)
    if not found:
        change.warnings.append('Found "%s" but no associated packages' % manager)
    return found


def _of_apt(change: Change) -> Found:
    """With what earlier tasks of a check would have installed."""
    packages = change.state("package", "dpkg")["packages"]
    installed = [name for name, entry in packages.items() if dpkg.is_installed(entry)]
    sections, origins = _sections(installed), _origins(installed)
    return [
        {"name": name, "version": entry["version"], "arch": entry["arch"], "category": sections.get(name, ""),
         "origin": origins.get((name, entry["version"]), "")}
        for name, entry in packages.items() if dpkg.is_installed(entry)
    ]  # fmt: skip


def _sections(names: List[str]) -> Dict[str, str]:
    """As the archive has sorted them, which may be another place than a package itself names."""
    listed = run(["apt-cache", "show", "--no-all-versions", "--", *names], environment=environment()).stdout
    found = {}
    for stanza in [*(text for _, text in dpkg.stanzas()), *listed.split("\n\n")]:
        fields = dict(re.findall(r"^(Package|Section|Architecture): (.*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            found[dpkg.key("%(Package)s:%(Architecture)s" % fields)] = fields.get("Section", "")
    return found


def _origins(names: List[str]) -> Dict[Any, str]:
    """(package, version) -> who publishes it: Debian, Docker, ...; empty for what no source has."""
    policy = run(["apt-cache", "policy"], environment=environment()).stdout
    published = dict(re.findall(r"^ +-?\d+ (\S.*)\n +release (?:.*,)?o=([^,\n]*)", policy, re.MULTILINE))
    found = {}
    told = run(["apt-cache", "policy", "--", *names], environment=environment()).stdout
    for block in re.split(r"\n(?=\S)", told):
        name = block.partition(":\n")[0]
        for version, source in re.findall(r"^ (?:\*\*\*|   ) (\S+) -?\d+\n +-?\d+ (\S.*)$", block, re.MULTILINE):
            found[name, version] = published.get(source, "")
    return found


def _of_rpm(_: Change) -> Found:
    form = "\\t".join("%%{%s}" % field.upper() for field in RPM_FIELDS) + "\\n"
    done = run(["rpm", "-qa", "--queryformat", form], environment={"LC_ALL": "C.UTF-8"})
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return [{field: None if value == NONE else value for field, value in zip(RPM_FIELDS, row)} for row in rows]


MANAGERS: Dict[str, Any] = {"apt": ("apt-get", _of_apt), "rpm": ("rpm", _of_rpm)}
