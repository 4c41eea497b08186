"""Packages of the RHEL family, through dnf."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.redhat import rpm
from wxops.agent.redhat.dnf import Plan, Transaction, failure, plan, wait_for_lock
from wxops.agent.redhat.listing import listed

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Sequence

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.redhat.rpm import Packages

ALIASES = {"pkg": "name", "expire-cache": "update_cache"}
INSTEAD = {"install_repoquery": "leave it out: it has no effect"}
MEANS = {"installed": "present", "removed": "absent"}
NOT_A_NAME = re.compile(r"^@|://|^/|\.rpm$|[*?\[<>= ]")
"""Groups, files, patterns and comparisons, which only dnf can tell."""


def dnf(
    change: Change,
    name: Optional[List[str]] = None,
    state: Optional[Literal["absent", "installed", "latest", "present", "removed"]] = None,
    list: Optional[str] = None,
    update_cache: bool = False,
    update_only: bool = False,
    security: bool = False,
    bugfix: bool = False,
    autoremove: bool = False,
    allow_downgrade: bool = False,
    allowerasing: bool = False,
    best: Optional[bool] = None,
    nobest: Optional[bool] = None,
    skip_broken: bool = False,
    install_weak_deps: bool = True,
    enablerepo: Optional[List[str]] = None,
    disablerepo: Optional[List[str]] = None,
    exclude: Optional[List[str]] = None,
    disable_excludes: Optional[str] = None,
    enable_plugin: Optional[List[str]] = None,
    disable_plugin: Optional[List[str]] = None,
    disable_gpg_check: bool = False,
    validate_certs: bool = True,
    sslverify: bool = True,
    conf_file: Optional[str] = None,
    releasever: Optional[str] = None,
    cacheonly: bool = False,
    download_only: bool = False,
    download_dir: Optional[Path] = None,
    installroot: str = "/",
    lock_timeout: int = 30,
    use_backend: Literal["auto", "dnf", "dnf4", "dnf5", "yum", "yum4"] = "auto",
) -> Dict[str, Any]:
    """Install, upgrade and remove packages. A rollback brings back exactly the versions, and their configuration.

    name: packages, as foo, foo-1.2, foo-1.2-3.x86_64, `foo >= 1.2`, patterns, @groups, files of the host and URLs.
    state: present (the default), latest, absent.
    list: return packages instead: installed, available, updates, repos, or a name.
    update_cache: fetch what the repositories say first.
    update_only: with latest, pass over packages that are not installed.
    security: with latest, only updates that mend a vulnerability.
    bugfix: with latest, only updates that mend a bug.
    autoremove: remove what nothing needs any more; with names, those too.
    allow_downgrade: let a version that is asked for replace a later one.
    allowerasing: let dnf remove packages that stand in the way.
    best: fail when the newest version cannot be installed.
    nobest: take an older one then.
    skip_broken: leave out what cannot be installed.
    install_weak_deps: install what packages recommend, too.
    enablerepo: use these repositories as well.
    disablerepo: do without these.
    exclude: leave these packages alone.
    disable_excludes: take no notice of excludes in the configuration: all, main, or a repository.
    enable_plugin: dnf's plugins to use.
    disable_plugin: dnf's plugins to do without.
    disable_gpg_check: install packages without a valid signature.
    validate_certs: check the certificates of servers.
    sslverify: the same, for repositories.
    conf_file: another configuration of dnf.
    releasever: the release whose repositories are used.
    cacheonly: believe what is known of the repositories, however old.
    download_only: fetch packages and install nothing.
    download_dir: ... into this directory.
    installroot: `/`; another root is refused, as no journal could bring it back.
    lock_timeout: seconds to wait for another dnf, which is then named; 0 waits for ever.
    use_backend: `dnf5` is refused: this drives dnf 4, which the RHEL family has.
    """
    if shutil.which("dnf") is None:
        raise ModuleFailure(
            "this host has no dnf: `dnf` is for the RHEL family; `package` picks the host's own manager"
        )
    if use_backend == "dnf5" or installroot != "/":
        what = "dnf5" if use_backend == "dnf5" else "another installroot than /"
        raise ModuleFailure("%s is not supported: run its commands with `command` and a `rollback:`" % what)
    if not (name or list or update_cache or autoremove):
        raise ModuleFailure("one of the following is required: name, list, update_cache")
    if name and list:
        raise ModuleFailure("parameters are mutually exclusive: name|list")
    if best is not None and nobest is not None:
        raise ModuleFailure("parameters are mutually exclusive: best|nobest")
    if download_dir and not download_only:
        raise ModuleFailure("download_dir goes with download_only: true")
    options = _options(
        {"allowerasing": allowerasing, "best": best, "nobest": nobest or best is False, "skip-broken": skip_broken,
         "nogpgcheck": disable_gpg_check, "cacheonly": cacheonly, "security": security, "bugfix": bugfix},
        {"enablerepo": enablerepo, "disablerepo": disablerepo, "exclude": exclude, "enableplugin": enable_plugin,
         "disableplugin": disable_plugin},
        {"disableexcludes": disable_excludes, "config": conf_file, "releasever": releasever},
    )  # fmt: skip
    options += [] if install_weak_deps else ["--setopt=install_weak_deps=False"]
    options += [] if sslverify and validate_certs else ["--setopt=sslverify=False"]
    wait_for_lock(lock_timeout)
    if update_cache and not change.check:
        _refresh(options)
    if update_cache and not (name or list or autoremove):
        return {"msg": "Cache updated", "changed": False, "results": [], "rc": 0}
    if list is not None:
        return {"msg": "", "changed": False, "results": listed(list, options)}
    task = Dnf(change, options, allow_downgrade)
    if download_only:
        return task.download(name or [], download_dir)
    wanted = MEANS.get(state or "", state or ("absent" if autoremove else "present"))
    if wanted == "absent":
        return task.remove(name or [], autoremove)
    if wanted == "latest":
        return task.latest(name or [], update_only)
    return task.install(name or [])


def _options(
    flags: Dict[str, Optional[bool]], lists: Dict[str, Optional[List[str]]], texts: Dict[str, Optional[str]]
) -> List[str]:
    found = ["--" + name for name, given in flags.items() if given]
    found += ["--%s=%s" % (name, ",".join(values)) for name, values in lists.items() if values]
    return found + ["--%s=%s" % (name, value) for name, value in texts.items() if value]


def _refresh(options: Sequence[str]) -> None:
    done = run(["dnf", "-q", *options, "makecache", "--refresh"], environment=rpm.ENGLISH)
    if done.rc != 0:
        raise ModuleFailure("Failed to synchronize repodata: %s" % done.stderr.strip(), rc=1, results=[])


class Dnf:
    """One task's transactions, each foreseen first, then journaled, then done."""

    def __init__(self, change: Change, options: Sequence[str], allow_downgrade: bool) -> None:
        self.change, self.options, self.allow_downgrade = change, [*options], allow_downgrade
        self.results: List[str] = []

    def install(self, names: List[str]) -> Dict[str, Any]:
        self._set(["install", *self._missing(names)] if self._missing(names) else [])
        return self._told()

    def latest(self, names: List[str], update_only: bool) -> Dict[str, Any]:
        """What is there is upgraded, what is not is installed."""
        if names == ["*"]:
            self._set(["upgrade"])
            return self._told()
        missing = self._missing(names, files_too=True)
        there = [name for name in names if name not in missing]
        if there:
            self._set(["upgrade", *there])
        if missing and not update_only:
            self._set(["install", *missing])
        return self._told()

    def remove(self, names: List[str], autoremove: bool) -> Dict[str, Any]:
        if any(name.startswith("/") or name.endswith(".rpm") for name in names):
            raise ModuleFailure("Cannot remove paths -- please specify package name.", results=[], rc=1)
        words = [name for name in names if NOT_A_NAME.search(name) or self._is_there(name)]
        tidy = "True" if autoremove else "False"
        if words or (autoremove and not names):
            self._set(["--setopt=clean_requirements_on_remove=" + tidy, "remove" if words else "autoremove", *words])
        return self._told()

    def download(self, names: List[str], folder: Optional[str]) -> Dict[str, Any]:
        """Packages as files: into dnf's cache, which is nobody's state, or where the task says."""
        packages: Packages = self.change.state("rpm_packages", "rpm")["packages"]
        found = plan([*self.options, "install", *names], packages)
        if not found.wanted:
            return self._told()
        if folder is None:
            if not self.change.check:
                self._fetch(names, [])
            self.change.changed = True
            return dict(
                self._told(), results=["Downloaded: " + line.partition(": ")[2] for line in found.told(packages)]
            )
        with tempfile.TemporaryDirectory(prefix="wxops-dnf-") as place:
            self._fetch(names, ["--destdir=" + place])
            for file in sorted(os.listdir(place)):
                self.change.write(os.path.join(folder, file), Content(path=os.path.join(place, file)))
        return dict(self._told(), results=["Downloaded: " + line.partition(": ")[2] for line in found.told(packages)])

    def _fetch(self, names: List[str], where: List[str]) -> None:
        words = ["dnf", "-y", *self.options, "install", "--downloadonly", *where, *names]
        done = run(words, environment=rpm.ENGLISH)
        if done.rc != 0:
            raise failure(done)

    def _missing(self, names: List[str], files_too: bool = False) -> List[str]:
        """Those that are not there, in any version that fits. Of what only dnf can tell, dnf is asked."""
        return [name for name in names if (NOT_A_NAME.search(name) and not (files_too and "*" in name))
                or not self._is_there(name)]  # fmt: skip

    def _is_there(self, name: str) -> bool:
        """Also by what earlier tasks of a check would have installed or removed."""
        pending = ("rpm_packages", "rpm") in self.change.view.overlay
        if not pending:
            return _matches(name, rpm.packages()) or rpm.provides(name)
        packages: Packages = self.change.state("rpm_packages", "rpm")["packages"]
        return _matches(name, packages) or (not _matches(name, rpm.packages()) and rpm.provides(name))

    def _set(self, words: List[str]) -> None:
        if not words:
            return
        packages: Packages = self.change.state("rpm_packages", "rpm")["packages"]
        found = self._plan(words, packages)
        wanted = {key: versions for key, versions in found.wanted.items()
                  if versions != packages.get(key) or found.verbs[key] == "Reinstalling"}  # fmt: skip
        if not wanted:
            return
        transaction = Transaction([*self.options, *words], self.change.link.output)
        try:
            self.change.set("rpm_packages", "rpm", {"packages": wanted, "transaction": transaction})
        finally:
            self.change.warnings += transaction.notes
        self.results += found.told(packages)

    def _plan(self, words: List[str], packages: Packages) -> Plan:
        """Without leave, a version that is asked for does not replace a later one: such names are left out."""
        found = plan([*self.options, *words], packages)
        older = {key.rpartition(".")[0] for key, verb in found.verbs.items() if verb == "Downgrading"}
        if not older or self.allow_downgrade:
            return found
        kept = [word for word in words if not any(word.startswith(name + "-") for name in older)]
        del words[:]
        words += kept
        return plan([*self.options, *words], packages) if len(words) > 1 else Plan(found.done, packages, nothing=True)

    def _told(self) -> Dict[str, Any]:
        changed = self.change.changed
        message = "" if changed else "Nothing to do"
        if changed and self.change.check:
            message = "Check mode: No changes made, but would have if not in check mode"
        return {"msg": message, "changed": changed, "results": self.results, "rc": 0}


def _matches(name: str, packages: Packages) -> bool:
    """Is it a package's name, with or without version and architecture, or a pattern of such?"""
    for key, versions in packages.items():
        plain = key.rpartition(".")[0]
        for version in versions:
            short = version.partition(":")[2]
            forms = [plain, key, "%s-%s" % (plain, short.rpartition("-")[0]), "%s-%s" % (plain, short),
                     "%s-%s" % (plain, version), rpm.nevra(key, version), rpm.nevra(key, short)]  # fmt: skip
            if any(fnmatch.fnmatchcase(form, name) for form in forms):
                return True
    return False
