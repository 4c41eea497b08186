"""One transaction of apt-get through the one door: foreseen first, then journaled, then done."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import Transaction, failure, known_names, known_versions, simulate
from wxops.agent.debian.foreseen import state_files
from wxops.agent.debian.policy_rc_d import exit_with
from wxops.agent.debian.restore import settle_if_interrupted
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.package_cache import updated_at

if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence, Tuple

    from wxops.agent.change import Change
    from wxops.agent.debian.apt_get import Simulation
    from wxops.agent.debian.dpkg import Entry, Packages
    from wxops.agent.process import Completed

DAY_S = 86400
UNKNOWN = re.compile(
    r"^E: (?:Unable to locate package (?P<name>\S+)"
    r"|Package '(?P<virtual>[^']+)' has no installation candidate"
    r"|Version '(?P<version>[^']+)' for '(?P<of>[^']+)' was not found)",
    re.MULTILINE,
)


def change_packages(
    change: Change, words: Sequence[str], options: Sequence[str], asked: Sequence[str], policy_rc_d: Optional[int],
    lock_timeout: int,
) -> Dict[str, Any]:  # fmt: skip
    """Let apt-get do what `words` say (install foo bar=1.0, remove foo, upgrade); what Ansible's apt returns of it.

    asked: the packages that the task names; they are marked as asked for.
    """
    if not change.check:
        settle_if_interrupted()
    packages: Packages = change.state("package", "dpkg")["packages"]
    simulation, coming = _foresee(change, packages, words, options)
    wanted = dict(coming, **_predicted(simulation, packages, asked))
    moves = bool(wanted)
    wanted.update(_asked_for(packages, wanted, asked))
    if not moves:
        if wanted:
            change.set("package", "dpkg", {"packages": wanted})
        return {"changed": False, "stdout": simulation.done.stdout, "stderr": simulation.done.stderr}
    script = None if policy_rc_d is None else exit_with(policy_rc_d)
    transaction = Transaction([*options, *words], script, lock_timeout, change.link.output)
    if not change.check:
        transaction.wait()  # before anything is journaled: giving up changes nothing
    try:
        change.set("package", "dpkg", {"packages": wanted, "transaction": transaction})
    finally:
        change.warnings += transaction.notes
    if change.check:
        _forget_files(change, packages, wanted)
    done = transaction.done or simulation.done
    return {"changed": True, "stdout": done.stdout, "stderr": done.stderr}


def _forget_files(change: Change, packages: Packages, wanted: Dict[str, Optional[Entry]]) -> None:
    """In check mode: the files of packages that would go are gone, configuration only with a purge."""
    for name, entry in wanted.items():
        if name not in packages or dpkg.is_installed(entry):
            continue
        configuration = set(dpkg.conffiles([name]))
        gone = configuration if entry is None else set()
        for path in gone | (set(dpkg.files_of(name)) - configuration):
            place = change.place(path)
            before = change.file(place)
            if before["type"] in ("file", "link"):
                change.view.put("file", place, before, {"type": "absent"})


def mark_as_asked_for(change: Change, asked: Sequence[str]) -> None:
    """Packages that a task names are no longer candidates for autoremove. Ansible does not count that as a change."""
    packages: Packages = change.state("package", "dpkg")["packages"]
    wanted = _asked_for(packages, {}, asked)
    if wanted:
        change.set("package", "dpkg", {"packages": wanted})


def _foresee(
    change: Change, packages: Packages, words: Sequence[str], options: Sequence[str]
) -> Tuple[Simulation, Dict[str, Entry]]:
    """What apt-get would do; and, in check mode, the packages of sources that a run would have added by now."""
    with state_files(packages) as files:
        simulation = simulate([*options, *words], files)
        if simulation.done.rc == 0:
            return simulation, {}
        unknown = _unknown(simulation.done)
        if not unknown:
            raise failure(simulation.done)
        if not (change.check and _sources_are_pending(change)):
            raise ModuleFailure(_not_available(unknown), **simulation.done.result())
        known = [word for word in words if word.partition("=")[0] not in unknown]
        simulation = simulate([*options, *known], files)
    if simulation.done.rc != 0:
        raise failure(simulation.done)
    return simulation, {dpkg.key(name): _entry(version or "(newest)", None) for name, version in unknown.items()}


def _unknown(done: Completed) -> Dict[str, str]:
    """Package -> version that was asked for, or "", of those that apt-get does not know."""
    found = {}
    for match in UNKNOWN.finditer(done.stderr):
        name = match.group("name") or match.group("virtual") or match.group("of")
        found[name] = match.group("version") or ""
    return found


def _sources_are_pending(change: Change) -> bool:
    """Would an earlier task, or this one's `update_cache`, have changed what apt knows?"""
    files = (path for path in change.view.pending("file") if path.startswith("/etc/apt/"))
    return any(files) or bool(change.view.pending("package_cache"))


def _not_available(unknown: Dict[str, str]) -> str:
    import difflib

    told = []
    for name, version in unknown.items():
        offered = known_versions([name]).get(name)
        if offered is None:
            near = difflib.get_close_matches(name, [n for n in known_names() if n[:2] == name[:2]], n=1, cutoff=0.8)
            told.append("no package %r is available%s" % (name, "; did you mean %s?" % near[0] if near else ""))
        elif version:
            told.append("%s %s is not available; there is %s" % (name, version, ", ".join(offered[1][:5])))
        else:
            told.append("no version of %s may be installed: look at `apt-cache policy %s`" % (name, name))
    lists_are_old = time.time() - updated_at() > DAY_S
    hint = " (the package lists are older than a day: set `update_cache: true`)" if lists_are_old else ""
    return "; ".join(told) + hint


def _predicted(simulation: Simulation, packages: Packages, asked: Sequence[str]) -> Dict[str, Optional[Entry]]:
    """The entries that dpkg would have afterwards."""
    found: Dict[str, Optional[Entry]] = {}
    for name, version in simulation.wanted.items():
        old = packages.get(name)
        if version is not None:
            found[name] = _entry(
                version, old, auto=old["auto"] if dpkg.is_installed(old) and old else name not in asked
            )
        elif old is None or name in simulation.purged or not dpkg.leaves_configuration(name):
            found[name] = None
        else:
            found[name] = dict(old, status="config-files", want="deinstall", auto=False)
    return found


def _entry(version: str, old: Optional[Entry], auto: bool = False) -> Entry:
    """A package that apt installs; a hold that there was is gone then."""
    arch = old["arch"] if old is not None else dpkg.native_architecture()
    return {"version": version, "arch": arch, "status": "installed", "want": "install", "auto": auto}


def _asked_for(
    packages: Packages, wanted: Dict[str, Optional[Entry]], asked: Sequence[str]
) -> Dict[str, Optional[Entry]]:
    found: Dict[str, Optional[Entry]] = {}
    for name in map(dpkg.key, asked):
        entry = wanted[name] if name in wanted else packages.get(name)
        if entry is not None and dpkg.is_installed(entry) and entry["auto"]:
            found[name] = dict(entry, auto=False)
    return found
