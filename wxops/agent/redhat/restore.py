"""Bringing packages of rpm back to exact versions, or away, in one transaction that touches nothing else."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.debian.apt_get import run_to_the_end
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.redhat import rpm
from wxops.agent.redhat.dnf import Plan, failure, wait_for_lock

if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional

    from wxops.agent.process import Completed
    from wxops.agent.redhat.rpm import Packages

LOCK_TIMEOUT_S = 600
OPTIONS = ["--setopt=clean_requirements_on_remove=False", "--setopt=install_weak_deps=False", "--nogpgcheck",
           "--setopt=obsoletes=False", "--setopt=strict=True"]  # fmt: skip


def keep(going: Packages, folder: str) -> Dict[str, Optional[str]]:
    """NEVRA -> its .rpm in `folder`, fetched while a repository has it; None for one that cannot be had any more."""
    names = [rpm.nevra(key, version) for key, versions in going.items() for version in versions]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for name in names:
        run(["dnf", "-y", "-q", "reinstall", "--downloadonly", "--destdir=" + folder, name], environment=rpm.ENGLISH)
    found = {_nevra_of(os.path.join(folder, file)): file for file in os.listdir(folder) if file.endswith(".rpm")}
    return {name: found.get(name) for name in names}


def user_installed() -> List[str]:
    """The names of packages that were asked for, not only needed."""
    done = run(["dnf", "-q", "-C", "repoquery", "--userinstalled", "--qf", "%{name}"], environment=rpm.ENGLISH)
    return done.stdout.split() if done.rc == 0 else []


def restore(wanted: Mapping[str, Optional[List[str]]], files: Mapping[str, Optional[str]]) -> None:
    """Each package in exactly these versions, or gone. files: NEVRA -> path of its .rpm."""
    now = rpm.packages()
    script: List[str] = []
    for key, versions in wanted.items():
        for version in set(now.get(key, [])) - set(versions or []):
            if not versions:
                script.append("remove " + rpm.nevra(key, version))
        for version in set(versions or []) - set(now.get(key, [])):
            name = rpm.nevra(key, version)
            place = files.get(name) or name
            script.append("%s %s" % (_verb(now.get(key, []), version), place))
    if not script:
        return
    wait_for_lock(LOCK_TIMEOUT_S)
    _must_touch_only(script, wanted, now)
    done = _shell(["-y"], script)
    left = rpm.packages()
    others = [key for key, versions in wanted.items() if left.get(key, []) != sorted(versions or [])]
    if others:
        raise ModuleFailure("these packages did not come back as they were: %s (%s)"
                            % (", ".join(sorted(others)), failure(done)), **done.result())  # fmt: skip


def mark_as_needed(names: List[str]) -> None:
    """What only other packages need may go with them again."""
    if names:
        run(["dnf", "-y", "-q", "mark", "remove", *names], environment=rpm.ENGLISH)


def _verb(now: List[str], wanted: str) -> str:
    """dnf's word for it: it refuses an upgrade that would be a downgrade, and the other way round."""
    if not now:
        return "install"
    compared = run(["rpm", "--eval", "%%{lua:print(rpm.vercmp('%s', '%s'))}" % (now[-1], wanted)])
    return "downgrade" if compared.stdout.strip() == "1" else "upgrade"


def _must_touch_only(script: List[str], wanted: Mapping[str, Optional[List[str]]], now: Packages) -> None:
    """Refuse when dnf would have to change what this step never touched: somebody has built on it since."""
    foreseen = Plan(_shell(["--assumeno"], script), now)
    others = sorted(set(foreseen.wanted) - set(wanted))
    if others:
        raise ModuleFailure("the packages cannot go back alone: dnf would also change %s" % ", ".join(others))


def _shell(options: List[str], script: List[str]) -> Completed:
    """dnf's shell takes all that belongs to one transaction."""
    with tempfile.NamedTemporaryFile("w", suffix=".dnf", encoding="utf-8") as file:
        file.write("\n".join([*script, "run", "exit", ""]))
        file.flush()
        return run_to_the_end(["dnf", *options, *OPTIONS, "shell", file.name], None)


def _nevra_of(path: str) -> str:
    done = run(["rpm", "-qp", "--queryformat", rpm.FORM, path], environment=rpm.ENGLISH)
    key, _, version = done.stdout.strip().partition("\t")
    return rpm.nevra(key, version)
