"""Packages of Debian and Ubuntu, through apt-get."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import known_names, known_versions, simulate
from wxops.agent.debian.archives import remember
from wxops.agent.debian.change_packages import change_packages, mark_as_asked_for
from wxops.agent.debian.deb_files import local_files
from wxops.agent.debian.lists import update_lists
from wxops.agent.debian.request import Spec, missing, removable, specs
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.package_cache import updated_at

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

    Do = Callable[..., Dict[str, Any]]

ALIASES = {
    "package": "name", "pkg": "name", "update-cache": "update_cache", "default-release": "default_release",
    "install-recommends": "install_recommends", "allow-unauthenticated": "allow_unauthenticated",
    "allow-downgrade": "allow_downgrade", "allow_downgrades": "allow_downgrade", "allow-downgrades": "allow_downgrade",
}  # fmt: skip


def apt(
    change: Change,
    name: Optional[List[str]] = None,
    state: Literal["absent", "build-dep", "latest", "present", "fixed"] = "present",
    update_cache: bool = False,
    cache_valid_time: int = 0,
    update_cache_retries: int = 5,
    update_cache_retry_max_delay: int = 12,
    upgrade: Literal["dist", "full", "no", "safe", "yes"] = "no",
    deb: Optional[Path] = None,
    purge: bool = False,
    autoremove: bool = False,
    autoclean: bool = False,
    clean: bool = False,
    default_release: Optional[str] = None,
    install_recommends: Optional[bool] = None,
    only_upgrade: bool = False,
    allow_downgrade: bool = False,
    allow_change_held_packages: bool = False,
    allow_unauthenticated: bool = False,
    fail_on_autoremove: bool = False,
    force: bool = False,
    force_apt_get: bool = False,
    dpkg_options: str = "force-confdef,force-confold",
    policy_rc_d: Optional[int] = None,
    lock_timeout: int = 60,
    auto_install_module_deps: bool = True,
) -> Dict[str, Any]:
    """Install, upgrade and remove packages. A rollback brings back exactly the versions, marks and configuration.

    name: packages, as foo, foo=1.2* (a version that matches is enough) or foo>=1.2; patterns as `apt*` too.
    state: present, latest, absent; build-dep installs what is needed to build the packages; fixed repairs broken ones.
    update_cache: fetch the package lists first.
    cache_valid_time: ... unless they are younger than so many seconds.
    update_cache_retries: how often that is tried.
    update_cache_retry_max_delay: seconds at most between tries; they grow from one on.
    upgrade: all packages: `safe` or `yes` removes none, `dist` or `full` may.
    deb: a .deb file on the host, or its URL; several with commas.
    purge: remove configuration too.
    autoremove: remove packages that nothing needs any more.
    autoclean: delete .deb files from apt's cache that can no longer be fetched.
    clean: delete all .deb files from apt's cache, first.
    default_release: prefer this release, as apt-get -t.
    install_recommends: whether recommended packages are installed too; by default as the host is set.
    only_upgrade: pass over packages that are not installed.
    allow_downgrade: let a version that is asked for replace a later one.
    allow_change_held_packages: change packages that are held.
    allow_unauthenticated: install packages without a valid signature.
    fail_on_autoremove: fail rather than remove a package.
    force: the four allows above and essential packages too. Almost never right.
    force_apt_get: taken for Ansible's sake: it is always apt-get.
    dpkg_options: for dpkg, without their `--`; the default keeps configuration files that were edited.
    policy_rc_d: the answer to packages that want to start services; 101 denies.
    lock_timeout: seconds to wait for whoever holds the package database.
    auto_install_module_deps: taken for Ansible's sake: nothing needs to be installed on the host.
    """
    if shutil.which("apt-get") is None:
        raise ModuleFailure("this host has no apt-get: `apt` is for Debian and Ubuntu")
    if sum((bool(name), deb is not None, upgrade != "no")) > 1:
        raise ModuleFailure("give one of name, deb and upgrade")
    flags = _flags(
        dpkg_options, force, default_release, install_recommends, allow_downgrade, allow_change_held_packages,
        allow_unauthenticated,
    )  # fmt: skip
    careful = ["--no-remove"] if fail_on_autoremove else []
    tidy = ["--auto-remove"] if autoremove else []
    do = functools.partial(change_packages, change, policy_rc_d=policy_rc_d, lock_timeout=lock_timeout)
    if clean:
        change.act("package_cache", "clean", options=[], lock_timeout=lock_timeout)
        if not (name or deb or upgrade != "no"):
            return {"changed": True}
    cache: Dict[str, Any] = {"cache_updated": False}
    if update_cache or cache_valid_time:
        cache["cache_updated"] = update_lists(
            change, cache_valid_time, update_cache_retries, update_cache_retry_max_delay, lock_timeout
        )
    cache["cache_update_time"] = int(updated_at())
    if upgrade != "no" or (state == "latest" and name == ["*"]):
        words = ["dist-upgrade"] if upgrade in ("dist", "full") else ["upgrade", "--with-new-pkgs"]
        result = do([*words, *tidy], [*flags, *careful], [])
        return dict(result, msg=result["stdout"])
    if deb is not None:
        if install_recommends is None:
            flags.append("--no-install-recommends")
        return _install_files(change, do, deb, [*flags, *careful])
    if not name and state != "fixed":
        tidied = _tidy(change, do, flags, purge, autoremove, autoclean, lock_timeout)
        return tidied or {"changed": cache["cache_updated"], **cache}
    if name and "*" in name:
        raise ModuleFailure("`*` stands for all packages: it goes with `state: latest`, and alone")
    if state == "absent":
        return _remove(change, do, name or [], purge, [*flags, *tidy])
    options = [*flags, *careful, *tidy, *(["--only-upgrade"] if only_upgrade else [])]
    if state == "build-dep":
        return {**do(["build-dep", *(name or [])], options, []), **cache}
    if state == "fixed":
        return {**do(["install", "--fix-broken", *(name or [])], options, []), **cache}
    return {**_install(change, do, name or [], state == "latest", only_upgrade, options), **cache}


def _flags(
    dpkg_options: str, force: bool, release: Optional[str], recommends: Optional[bool], downgrade: bool, held: bool,
    unauthenticated: bool,
) -> List[str]:  # fmt: skip
    found = [word for option in dpkg_options.split(",") if option for word in ("-o", "Dpkg::Options::=--" + option)]
    found += ["-t", release] if release else []
    found += [] if recommends is None else ["-o", "APT::Install-Recommends=" + ("yes" if recommends else "no")]
    allowed = {"--allow-downgrades": downgrade, "--allow-change-held-packages": held,
               "--allow-unauthenticated": unauthenticated, "--allow-remove-essential": False}  # fmt: skip
    return found + [flag for flag, is_given in allowed.items() if is_given or force]


def _install(
    change: Change, do: Do, names: List[str], latest: bool, only_upgrade: bool, options: List[str]
) -> Dict[str, Any]:
    installed = change.state("package", "dpkg")["packages"]
    asked = specs(names, known_names)
    wanted = missing(asked, installed, only_upgrade)
    if latest:
        wanted = [spec for spec in asked if not only_upgrade or dpkg.is_installed(installed.get(spec.key))]
    keys = [spec.key for spec in asked]
    if not wanted:
        mark_as_asked_for(change, keys)
        return {"changed": False}
    return do(["install", *map(_word, wanted)], options, keys)


def _word(spec: Spec) -> str:
    """A package as apt-get takes it, which knows no `>=`."""
    if spec.operator != ">=":
        return spec.text
    candidate, versions = known_versions([spec.name]).get(spec.name, (None, []))
    if candidate is None or not spec.allows(candidate):
        raise ModuleFailure("%s is not available; there is %s" % (spec.text, ", ".join(versions[:5]) or "none"))
    return "%s=%s" % (spec.name, candidate)


def _install_files(change: Change, do: Do, deb: str, options: List[str]) -> Dict[str, Any]:
    installed = change.state("package", "dpkg")["packages"]
    with local_files(change, deb) as files:
        new = [file for file in files if not Spec(file.name + "=" + file.version).holds(installed.get(file.key))]
        if not new:
            return {"changed": False}
        result = do(["install", *(file.path for file in new)], options, [file.key for file in new])
        if not change.check:
            for file in new:
                remember(file.path, file.name, file.version, file.arch)
        return result


def _remove(change: Change, do: Do, names: List[str], purge: bool, options: List[str]) -> Dict[str, Any]:
    installed = change.state("package", "dpkg")["packages"]
    gone = removable(specs(names, lambda: installed), installed, purge)
    if not gone:
        return {"changed": False}
    return do(["remove", *gone], [*options, *(["--purge"] if purge else [])], [])


def _tidy(
    change: Change, do: Do, flags: List[str], purge: bool, autoremove: bool, autoclean: bool, lock_timeout: int
) -> Optional[Dict[str, Any]]:
    """Without packages to act on. As with Ansible, autoclean leaves autoremove for another task."""
    if autoclean:
        found = simulate(["autoclean"]).done.stdout
        if "Del " in found:
            change.act("package_cache", "autoclean", options=[], lock_timeout=lock_timeout)
        return {"changed": "Del " in found, "stdout": found}
    return do(["autoremove"], [*flags, *(["--purge"] if purge else [])], []) if autoremove else None
