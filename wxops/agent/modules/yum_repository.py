"""Repositories of dnf: sections of files in /etc/yum.repos.d."""

from __future__ import annotations

import configparser
import io
import os
import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {
    "excludepkgs": "exclude", "ca_cert": "sslcacert", "client_cert": "sslclientcert", "client_key": "sslclientkey",
    "validate_certs": "sslverify", "attr": "attributes",
}  # fmt: skip
SECRET = re.compile(r"^((?:proxy_)?password[ \t]*=[ \t]*).+$", re.MULTILINE)
HIDDEN = "********"
NO_EFFECT = "leave it out: it has no effect in dnf"
INSTEAD = {
    "async": NO_EFFECT, "deltarpm_metadata_percentage": NO_EFFECT, "gpgcakey": NO_EFFECT, "http_caching": NO_EFFECT,
    "keepalive": NO_EFFECT, "metadata_expire_filter": NO_EFFECT, "mirrorlist_expire": NO_EFFECT, "protect": NO_EFFECT,
    "ssl_check_cert_permissions": NO_EFFECT, "ui_repoid_vars": NO_EFFECT, "keepcache": "set it in /etc/dnf/dnf.conf",
}  # fmt: skip


def yum_repository(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    file: Optional[str] = None,
    reposdir: Path = "/etc/yum.repos.d",
    description: Optional[str] = None,
    baseurl: Optional[List[str]] = None,
    mirrorlist: Optional[str] = None,
    metalink: Optional[str] = None,
    enabled: Optional[bool] = None,
    gpgcheck: Optional[bool] = None,
    gpgkey: Optional[List[str]] = None,
    repo_gpgcheck: Optional[bool] = None,
    priority: Optional[str] = None,
    cost: Optional[str] = None,
    exclude: Optional[List[str]] = None,
    includepkgs: Optional[List[str]] = None,
    include: Optional[str] = None,
    enablegroups: Optional[bool] = None,
    module_hotfixes: Optional[bool] = None,
    metadata_expire: Optional[str] = None,
    skip_if_unavailable: Optional[bool] = None,
    proxy: Optional[str] = None,
    proxy_username: Optional[str] = None,
    proxy_password: Optional[str] = None,
    username: Optional[str] = None,
    password: Optional[str] = None,
    sslverify: Optional[bool] = None,
    sslcacert: Optional[str] = None,
    sslclientcert: Optional[str] = None,
    sslclientkey: Optional[str] = None,
    bandwidth: Optional[str] = None,
    throttle: Optional[str] = None,
    timeout: Optional[str] = None,
    retries: Optional[str] = None,
    ip_resolve: Optional[Literal["4", "6", "IPv4", "IPv6", "whatever"]] = None,
    failovermethod: Optional[Literal["roundrobin", "priority"]] = None,
    deltarpm_percentage: Optional[str] = None,
    countme: Optional[bool] = None,
    s3_enabled: Optional[bool] = None,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
) -> Dict[str, Any]:
    """Write a repository's section to NAME.repo, or take it away; a file without a section goes.

    name: the repository's id, between the brackets.
    state: present, which needs a description and a baseurl, mirrorlist or metalink; or absent.
    file: the file's name without `.repo`; by default the id.
    reposdir: the directory of the file.
    description: the repository's name for people.
    baseurl: where it is.
    mirrorlist: ... or a list of places.
    metalink: ... or a metalink file.
    enabled: whether dnf uses it.
    gpgcheck: check the signatures of packages.
    gpgkey: the keys for that.
    repo_gpgcheck: check the signature of what the repository says.
    priority: a lower number wins over other repositories.
    cost: a lower number wins where packages are the same.
    exclude: packages to leave out.
    includepkgs: the only packages to take.
    include: another configuration to read.
    enablegroups: let it define groups of packages.
    module_hotfixes: its packages win over those of modules.
    metadata_expire: how long to believe what it said: seconds, 6h, never.
    skip_if_unavailable: do without it when it does not answer.
    proxy: the proxy to use, or _none_.
    proxy_username: the login there.
    proxy_password: its password.
    username: the login at the repository.
    password: its password.
    sslverify: check its certificate.
    sslcacert: the authorities for that.
    sslclientcert: a certificate to show.
    sslclientkey: the key of that.
    bandwidth: bytes a second that there are.
    throttle: bytes a second to use, or a part of the bandwidth.
    timeout: seconds to wait for an answer.
    retries: how often to ask.
    ip_resolve: 4, 6 or whatever.
    failovermethod: the order of several URLs.
    deltarpm_percentage: largest delta to fetch, of the package's size.
    countme: let it count hosts.
    s3_enabled: it is in S3.
    mode: of the file: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    fields = {
        "name": description, "baseurl": _joined("\n", baseurl), "mirrorlist": mirrorlist, "metalink": metalink,
        "enabled": enabled, "gpgcheck": gpgcheck, "gpgkey": _joined("\n", gpgkey), "repo_gpgcheck": repo_gpgcheck,
        "priority": priority, "cost": cost, "exclude": _joined(" ", exclude), "includepkgs": _joined(" ", includepkgs),
        "include": include, "enablegroups": enablegroups, "module_hotfixes": module_hotfixes,
        "metadata_expire": metadata_expire, "skip_if_unavailable": skip_if_unavailable, "proxy": proxy,
        "proxy_username": proxy_username, "proxy_password": proxy_password, "username": username, "password": password,
        "sslverify": sslverify, "sslcacert": sslcacert, "sslclientcert": sslclientcert, "sslclientkey": sslclientkey,
        "bandwidth": bandwidth, "throttle": throttle, "timeout": timeout, "retries": retries, "ip_resolve": ip_resolve,
        "failovermethod": failovermethod, "deltarpm_percentage": deltarpm_percentage, "countme": countme,
        "s3_enabled": s3_enabled,
    }  # fmt: skip
    if state == "present" and not (baseurl or mirrorlist or metalink):
        raise ModuleFailure("state is present but any of the following are missing: baseurl, mirrorlist, metalink")
    if state == "present" and description is None:
        raise ModuleFailure("state is present but all of the following are missing: description")
    if change.file(reposdir, follow=True)["type"] != "directory":
        raise ModuleFailure("Repo directory '%s' does not exist." % reposdir)
    path = os.path.join(reposdir, "%s.repo" % (file or name))
    sections = _read(change, path)
    before = _sorted(sections)
    sections.remove_section(name)
    if state == "present":
        sections.add_section(name)
        for field, value in sorted(fields.items()):
            if value is not None:
                sections.set(name, field, str(int(value)) if isinstance(value, bool) else str(value))
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    if _sorted(sections) != before:
        _write(change, path, sections, asked)
        _hide_passwords(change)
    if change.file(path)["type"] == "file":
        asked.set(change, path)
    return {"repo": name, "state": state}


def _joined(between: str, values: Optional[List[str]]) -> Optional[str]:
    return None if values is None else between.join(values)


def _read(change: Change, path: str) -> configparser.RawConfigParser:
    sections = configparser.RawConfigParser()
    text = (change.read(path) or b"").decode("utf-8", "surrogateescape")
    try:
        sections.read_string(text, path)
    except configparser.Error as error:
        raise ModuleFailure("%s cannot be read as a file of repositories: %s" % (path, error), path=path) from None
    return sections


def _sorted(sections: configparser.RawConfigParser) -> Dict[str, Dict[str, str]]:
    return {name: dict(sections.items(name)) for name in sections.sections()}


def _hide_passwords(change: Change) -> None:
    """In no diff; what a rollback would show is hidden by `_write`."""
    for diff in change.diffs:
        diff.update((part, SECRET.sub(r"\1" + HIDDEN, diff[part])) for part in ("before", "after"))


def _write(change: Change, path: str, sections: configparser.RawConfigParser, asked: Attributes) -> None:
    text = io.StringIO()
    sections.write(text)
    known = (change.read(path) or b"").decode("utf-8", "replace")
    change.hidden = change.hidden or SECRET.search(known + text.getvalue()) is not None
    if sections.sections():
        data = text.getvalue().encode("utf-8", "surrogateescape")
        change.write(path, data, asked.mode, asked.owner, asked.group)
    else:
        change.set("file", change.place(path), {"type": "absent"})
