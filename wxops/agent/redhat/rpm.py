"""What is installed, as rpm tells it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, List, Sequence

    Packages = Dict[str, List[str]]
    """NAME.ARCH -> its versions as EPOCH:VERSION-RELEASE, sorted: a kernel may be there several times."""

ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
FORM = r"%{NAME}.%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n"
KEYS = "gpg-pubkey"


def packages() -> Packages:
    """All that rpm has installed."""
    done = run(["rpm", "-qa", "--queryformat", FORM], environment=ENGLISH)
    if done.rc != 0:
        raise ModuleFailure("rpm does not say what is installed: %s" % done.stderr.strip(), **done.result())
    found: Packages = {}
    for name, version in (line.split("\t") for line in done.stdout.splitlines() if "\t" in line):
        if not name.startswith(KEYS):
            found.setdefault(name, []).append(version)
    return {name: sorted(versions) for name, versions in found.items()}


def nevra(key: str, version: str) -> str:
    """As dnf and Ansible write one package: NAME-[EPOCH:]VERSION-RELEASE.ARCH."""
    name, _, arch = key.rpartition(".")
    return "%s-%s.%s" % (name, re.sub("^0:", "", version), arch)


def provides(spec: str) -> bool:
    """Is something installed that is meant by a name, a name with version, a capability or a path?"""
    return any(run(["rpm", "-q", *words, spec], environment=ENGLISH).rc == 0 for words in ([], ["--whatprovides"]))


def listed_files(names: Sequence[str], configuration: bool = False) -> List[str]:
    """The files of packages; only their configuration, if asked."""
    if not names:
        return []
    done = run(["rpm", "-ql", *(["-c"] if configuration else []), *names], environment=ENGLISH)
    return [line for line in done.stdout.splitlines() if line.startswith("/")]
