"""Packages and repositories as Ansible's `dnf: list=` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.process import run
from wxops.agent.redhat.dnf import failure
from wxops.agent.redhat.rpm import ENGLISH

if TYPE_CHECKING:
    from typing import Dict, List, Sequence

WHICH = {"installed": ["--installed"], "available": ["--available"], "updates": ["--upgrades"],
         "upgrades": ["--upgrades"], "obsoletes": ["--obsoletes"], "recent": ["--recent"]}  # fmt: skip
FIELDS = ("name", "arch", "epoch", "release", "version", "reponame")
INSTALLED = "@System"


def listed(what: str, options: Sequence[str]) -> List[Dict[str, str]]:
    """what: installed, available, updates, repos, or a package, which is listed wherever it is."""
    if what in ("repos", "repositories"):
        rows = (line.split() for line in _lines(["repolist", "--all"], options) if not line.startswith("repo id"))
        return [{"repoid": words[0], "state": words[-1]} for words in rows]
    form = r"--qf=" + r"\t".join("%%{%s}" % field for field in FIELDS)
    asked = [WHICH[what]] if what in WHICH else [["--installed", what], ["--available", what]]
    return [_described(line.split("\t")) for words in asked for line in _lines(["repoquery", form, *words], options)
            if "\t" in line]  # fmt: skip


def _described(values: List[str]) -> Dict[str, str]:
    """A package under Ansible's names."""
    about = dict(zip(FIELDS, values))
    repository = about.pop("reponame")
    name = "%(name)s-%(version)s-%(release)s.%(arch)s" % about
    state = "installed" if repository == INSTALLED else "available"
    return dict(about, repo=repository, nevra=name, envra="%s:%s" % (about["epoch"], name), yumstate=state)


def _lines(words: List[str], options: Sequence[str]) -> List[str]:
    done = run(["dnf", "-q", *options, *words], environment=ENGLISH)
    if done.rc != 0:
        raise failure(done)
    return [line for line in done.stdout.splitlines() if line.strip()]
