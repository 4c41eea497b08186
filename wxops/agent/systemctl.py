"""systemd as it answers: what a unit is, which links enable it, and commands to it."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Set

    from wxops.agent.process import Completed

UNIT_TYPES = ("service", "socket", "target", "timer", "mount", "automount", "path", "slice", "scope", "swap", "device")
LINK_FOLDERS = {"system": "/etc/systemd/system", "global": "/etc/systemd/user", "user": "~/.config/systemd/user"}
UNIT_FOLDERS = (
    "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
    "/lib/systemd/system", "/etc/systemd/user", "/usr/lib/systemd/user",
)  # fmt: skip


def unit_name(name: str) -> str:
    """`docker` is docker.service, as for systemctl."""
    return name if name.rpartition(".")[2] in UNIT_TYPES else name + ".service"


def systemctl(scope: str, *words: str) -> Completed:
    """Run systemctl; for a user's own manager too where no login session said where it is."""
    environment = {}
    if scope == "user" and "XDG_RUNTIME_DIR" not in os.environ:
        environment["XDG_RUNTIME_DIR"] = "/run/user/%d" % os.geteuid()
    options = [] if scope == "system" else ["--" + scope]
    return run(["systemctl", *options, *words], environment=environment)


def command(scope: str, *words: str) -> None:
    """Tell systemd to do something; what it answers when it does not is the failure."""
    done = systemctl(scope, *words)
    if done.rc != 0:
        said = " ".join(done.stderr.split()) or "systemctl ended with %d" % done.rc
        verb = next(word for word in words if not word.startswith("-"))
        unit = words[-1] if words[-1] != verb else "systemd"
        raise ModuleFailure("unable to %s %s: %s" % (verb, unit, said), rc=done.rc, stderr=done.stderr)


def show(scope: str, unit: str) -> Dict[str, str]:
    """All properties of a unit. A unit that does not exist has LoadState not-found."""
    if scope == "global":  # no manager stands behind it: there is only what the files say
        state = systemctl(scope, "is-enabled", "--", unit).stdout.strip()
        known = state not in ("", "not-found")
        return {"Id": unit, "UnitFileState": state, "LoadState": "loaded" if known else "not-found"}
    done = systemctl(scope, "show", "--", unit)
    if done.rc != 0:
        raise ModuleFailure("systemd does not answer: %s" % (done.stderr.strip() or done.stdout.strip()), rc=done.rc)
    return parse_properties(done.stdout)


def is_active(properties: Dict[str, str]) -> bool:
    return properties.get("ActiveState") in ("active", "activating", "reloading")


def parse_properties(text: str) -> Dict[str, str]:
    """KEY=VALUE lines; the value of an Exec key in braces may go on over several lines."""
    found: Dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals:
            continue
        while key.startswith("Exec") and value.startswith("{") and not value.rstrip().endswith("}"):
            more = next(lines, None)
            if more is None:
                break
            value += "\n" + more
        found[key] = value.strip()
    return found


def known_units(scope: str) -> List[str]:
    """The names of all unit files."""
    done = systemctl(scope, "list-unit-files", "--no-legend", "--no-pager", "--plain")
    return [line.split()[0] for line in done.stdout.splitlines() if line.split()]


def related_names(unit: str, properties: Dict[str, str]) -> Set[str]:
    """The unit, its aliases, and the units that its [Install] section enables along with it."""
    names = {unit, *properties.get("Names", "").split()}
    for path in [properties.get("FragmentPath", ""), *properties.get("DropInPaths", "").split()]:
        for line in re.findall(r"^\s*(?:Also|Alias)\s*=(.*)$", _text(path), re.MULTILINE):
            names.update(line.split())
    return names


def links(scope: str, names: Set[str]) -> Dict[str, str]:
    """Path -> target of the links that enable, alias or mask these units, init scripts' links included."""
    base = os.path.expanduser(LINK_FOLDERS[scope])
    found = {}
    for folder in [base, *link_folders(scope)]:
        for entry in _entries(folder):
            if entry.is_symlink():
                target = os.readlink(entry.path)
                if entry.name in names or os.path.basename(target) in names:
                    found[entry.path] = target
    for name in names if scope == "system" else ():
        script = name.rpartition(".")[0]
        if os.path.exists(os.path.join("/etc/init.d", script)):
            found.update((path, os.readlink(path)) for path in glob.glob("/etc/rc?.d/[SK][0-9][0-9]" + script))
    return found


def link_folders(scope: str) -> List[str]:
    """The folders for links beside units: multi-user.target.wants and the like."""
    base = os.path.expanduser(LINK_FOLDERS[scope])
    endings = (".wants", ".requires", ".upholds")
    return [entry.path for entry in _entries(base) if entry.name.endswith(endings) and entry.is_dir()]


def put_links_back(scope: str, names: Set[str], wanted: Dict[str, str], folders: Sequence[str]) -> None:
    """Exactly the wanted links of these units; a folder for links that is empty now and was not there goes too."""
    now = links(scope, names)
    for path in now:
        if wanted.get(path) != now[path]:
            os.unlink(path)
    for path, target in wanted.items():
        if now.get(path) != target:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
    for folder in link_folders(scope):
        if folder not in folders and not os.listdir(folder):
            os.rmdir(folder)
    if scope != "global":
        command(scope, "daemon-reload")


def script_is_enabled(unit: str) -> Optional[bool]:
    """Whether an init script starts at boot; None when the unit has none."""
    script = unit.rpartition(".")[0]
    if not os.path.exists(os.path.join("/etc/init.d", script)):
        return None
    return bool(glob.glob("/etc/rc?.d/S[0-9][0-9]" + script))


def _entries(folder: str) -> List[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
