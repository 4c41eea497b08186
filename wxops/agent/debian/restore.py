"""Bringing packages to exact versions, or away, in one transaction that touches nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import Transaction, environment, failure, own_lock, simulate
from wxops.agent.debian.lock import DPKG, wait_for
from wxops.agent.debian.policy_rc_d import DENY_STARTS, put_back
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional, Tuple

    from wxops.agent.debian.dpkg import Entry

LOCK_TIMEOUT_S = 600
OPTIONS = ["--allow-downgrades", "--allow-change-held-packages", "--allow-unauthenticated", "--no-install-recommends",
           "--fix-broken", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
           "-o", "Dpkg::Options::=--force-confmiss"]  # fmt: skip


def settle() -> None:
    """Let a transaction that was cut short come to an end: nothing half-configured, no lock, no policy left behind."""
    with own_lock():
        wait_for(DPKG, LOCK_TIMEOUT_S, lambda _: None)
    put_back()
    run(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"], environment=environment())


def settle_if_interrupted() -> None:
    """Before anything new: an earlier run's transaction that outlived it, or was cut short, comes to its end."""
    with own_lock():
        pass
    if any(_is_broken(entry) for entry in dpkg.packages().values()):
        settle()


def restore(wanted: Mapping[str, Optional[Entry]], debs: Mapping[str, Optional[str]]) -> bool:
    """Each package as its entry says, or gone; True if more than marks had to be changed for it.

    debs: paths of .deb files for versions that may not be had elsewhere.
    """
    now = dpkg.packages()
    differs = any(_build(now.get(name)) != _build(entry) for name, entry in wanted.items())
    if differs:
        settle()
        _install_and_remove(wanted, debs)
        now = dpkg.packages()
        gone = [name for name, entry in wanted.items() if entry is None and name in now]
        if gone:
            _run(["dpkg", "--purge", "--force-remove-reinstreq", *gone])
        _must_be(wanted)
    set_marks(wanted)
    return differs


def _must_be(wanted: Mapping[str, Optional[Entry]]) -> None:
    now = dpkg.packages()
    others = [name for name, entry in wanted.items() if _build(now.get(name)) != _build(entry)]
    if others:
        raise ModuleFailure("these packages did not come back as they were: %s" % ", ".join(sorted(others)))


def _is_broken(entry: Entry) -> bool:
    """Left half-way by a transaction that was cut short."""
    return entry["status"] not in ("installed", "config-files")


def _build(entry: Optional[Entry]) -> Optional[Tuple[str, str]]:
    return None if entry is None else (entry["version"], entry["status"])


def set_marks(wanted: Mapping[str, Optional[Entry]]) -> None:
    """Which packages were asked for by name, and which are held."""
    now = dpkg.packages()
    differing = {name: entry for name, entry in wanted.items() if entry is not None and name in now}
    for mark, auto in (("auto", True), ("manual", False)):
        names = [name for name, entry in differing.items() if entry["auto"] is auto is not now[name]["auto"]]
        if names:
            _run(["apt-mark", mark, *names])
    set_selections({name: entry["want"] for name, entry in differing.items() if entry["want"] != now[name]["want"]})


def set_selections(wanted: Mapping[str, str]) -> None:
    """What dpkg is asked to do with packages: install, hold, deinstall or purge."""
    if wanted:
        _run(["dpkg", "--set-selections"], "".join("%s %s\n" % pair for pair in wanted.items()))


def _install_and_remove(wanted: Mapping[str, Optional[Entry]], debs: Mapping[str, Optional[str]]) -> None:
    now = dpkg.packages()
    words: List[str] = []
    versions: Dict[str, Optional[str]] = {}
    for name, entry in wanted.items():
        if entry is not None and dpkg.is_installed(entry):
            if not dpkg.is_installed(now.get(name)) or now[name]["version"] != entry["version"]:
                deb = debs.get(name)
                words.append(deb if deb and os.path.exists(deb) else "%s=%s" % (name, entry["version"]))
                versions[name] = entry["version"]
        elif name in now and now[name]["status"] != "config-files":
            words.append(name + "-")
            versions[name] = None
    if not words:
        return
    half = [name for name, version in versions.items() if version and name in now and _is_broken(now[name])]
    arguments = [*OPTIONS, *(["--reinstall"] if half else []), "install", *words]
    _must_touch_only(arguments, versions)
    transaction = Transaction(arguments, DENY_STARTS, LOCK_TIMEOUT_S, None)
    transaction.wait()
    transaction.run()


def _must_touch_only(arguments: List[str], versions: Mapping[str, Optional[str]]) -> None:
    """Refuse when apt would have to change what this step never touched: somebody has built on it since."""
    simulation = simulate(arguments)
    if simulation.done.rc != 0:
        raise failure(simulation.done)
    others = {name: version for name, version in simulation.wanted.items()
              if name not in versions or versions[name] != version}  # fmt: skip
    if others:
        told = ", ".join(
            "%s %s" % ("remove" if version is None else "install", " ".join(filter(None, (name, version))))
            for name, version in sorted(others.items())
        )
        raise ModuleFailure("the packages cannot go back alone: apt would also %s" % told)


def _run(argv: List[str], text: str = "") -> None:
    done = run(argv, stdin=text.encode(), environment=environment())
    if done.rc != 0:
        raise ModuleFailure(done.stderr.strip() or "%s ended with %d" % (argv[0], done.rc), **done.result())
