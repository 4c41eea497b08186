"""`dnf` for real: Debian's own dnf and createrepo_c on a lab host, with a repository of packages built there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.module_case import ManagedHost, differences, keep_promises
from wxops.lab import Lab
from wxops.lab.host import Host

SPEC = """Name: {name}
Version: {version}
Release: 1
Summary: A package of the tests
License: MIT
BuildArch: noarch
{needs}
%description
It brings a program and its configuration.
%install
mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/etc
printf '#!/bin/sh\\necho {version}\\n' >%{{buildroot}}/usr/bin/{name}
echo 'setting = {version}' >%{{buildroot}}/etc/{name}.conf
%files
%attr(0755,root,root) /usr/bin/{name}
%config(noreplace) /etc/{name}.conf
"""
PACKAGES = (("wxlib", "1.0", ""), ("wxlib", "2.0", ""), ("wxapp", "1.0", "Requires: wxlib < 2"),
            ("wxapp", "2.0", "Requires: wxlib >= 2"))  # fmt: skip
BUILD = """
export HOME=/root
mkdir -p /srv/repo /srv/specs /etc/yum.repos.d && cd /srv/specs
for spec in *.spec; do rpmbuild -bb --quiet --define '_rpmdir /srv/repo' --define '_topdir /srv/build' $spec; done
createrepo_c -q /srv/repo && rm -rf /srv/build
printf '[ours]\\nname=Ours\\nbaseurl=file:///srv/repo\\ngpgcheck=0\\n' >/etc/yum.repos.d/ours.repo
dnf -q makecache
"""
# What dnf and rpm keep for themselves; what packages left is compared by what rpm says of it.
OWN = ("/root/.rpmdb", "/var/lib/dnf", "/var/lib/rpm", "/var/cache", "/root/.cache")


@pytest.fixture(scope="module")
def prepared(lab: Lab) -> Host:
    """A host with dnf, rpm and the repository."""
    host = lab.reset(lab.hosts[0].name)
    host.ssh("apt-get update -q && apt-get install -qy --no-install-recommends dnf createrepo-c rpm")
    for name, version, needs in PACKAGES:
        spec = SPEC.format(name=name, version=version, needs=needs)
        host.ssh(f"mkdir -p /srv/specs && cat >/srv/specs/{name}-{version}.spec <<'END'\n{spec}END")
    host.ssh(BUILD)
    return host


@pytest.fixture
def dnf(prepared: Host, managed: ManagedHost) -> ManagedHost:
    prepared.ssh("dnf -y -q remove 'wx*'; rm -f /etc/wx*")
    return managed


def installed(managed: ManagedHost) -> list[str]:
    return sorted(managed.host.ssh("rpm -qa 'wx*'").stdout.split())


def promised(managed: ManagedHost, *tasks: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The results of tasks that keep what every module promises."""
    case = {"tasks": list(tasks), "ignore": OWN, **more}
    return [dict(result.result) for result in keep_promises(managed, case).results]


def test_a_package_comes_with_what_it_needs_and_goes(dnf: ManagedHost) -> None:
    found = promised(dnf, {"dnf": {"name": "wxapp-1.0"}}, diff=["wxapp-1.0-1.noarch", "wxlib-1.0-1.noarch"])
    assert sorted(found[0]["results"]) == ["Installed: wxapp-1.0-1.noarch", "Installed: wxlib-1.0-1.noarch"]
    assert found[0]["rc"] == 0 and installed(dnf) == []


def test_the_latest_version_takes_the_place_of_an_older_one_and_back(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxapp-1.0 && echo mine >>/etc/wxlib.conf")
    promised(dnf, {"dnf": {"name": ["wxapp", "wxlib"], "state": "latest"}}, diff=["wxapp-2.0-1"],
             leaves=["rpm -q wxapp-2.0 wxlib-2.0"])  # fmt: skip
    assert installed(dnf) == ["wxapp-1.0-1.noarch", "wxlib-1.0-1.noarch"]
    assert "mine" in dnf.host.ssh("cat /etc/wxlib.conf; ! ls /etc/wxlib.conf.*").stdout


def test_everything_is_upgraded_and_back(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxapp-1.0")
    promised(dnf, {"dnf": {"name": "*", "state": "latest"}}, leaves=["rpm -q wxapp-2.0 wxlib-2.0"])


def test_what_is_there_is_not_upgraded_by_present(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxapp-1.0")
    run = dnf.play([{"dnf": {"name": ["wxapp", "wxlib.noarch"]}}, {"dnf": {"name": "/usr/bin/wxlib"}}])
    assert run.statuses[0] == "ok" and run.results[0].result["msg"] == "Nothing to do", run.told()
    assert installed(dnf) == ["wxapp-1.0-1.noarch", "wxlib-1.0-1.noarch"]


def test_a_removed_package_comes_back_with_its_edited_configuration(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxapp-1.0 && echo mine >>/etc/wxapp.conf")
    before = dnf.tree(OWN)
    found = promised(dnf, {"dnf": {"name": "wxlib", "state": "absent"}}, leaves=["! command -v wxapp"])
    assert sorted(found[0]["results"]) == ["Removed: wxapp-1.0-1.noarch", "Removed: wxlib-1.0-1.noarch"]
    assert differences(before, dnf.tree(OWN)) == []
    assert installed(dnf) == ["wxapp-1.0-1.noarch", "wxlib-1.0-1.noarch"]


def test_a_downgrade_needs_leave(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxlib-2.0")
    assert dnf.play([{"dnf": {"name": "wxlib-1.0"}}]).statuses == ["ok"]
    promised(dnf, {"dnf": {"name": "wxlib-1.0", "allow_downgrade": True}}, leaves=["rpm -q wxlib-1.0"])
    assert installed(dnf) == ["wxlib-2.0-1.noarch"]


def test_what_nothing_needs_any_more_goes(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxapp-1.0")
    promised(dnf, {"dnf": {"name": "wxapp", "autoremove": True, "state": "absent"}}, leaves=["! rpm -q wxlib"])
    assert installed(dnf) == ["wxapp-1.0-1.noarch", "wxlib-1.0-1.noarch"]


def test_later_tasks_of_a_check_see_earlier_ones(dnf: ManagedHost) -> None:
    check = dnf.play([{"dnf": {"name": "wxlib-2.0"}}, {"dnf": {"name": "wxlib"}}, {"yum": {"name": "wxlib-2.0"}}],
                     check=True)  # fmt: skip
    assert check.statuses == ["changed", "ok", "ok"], check.told()
    assert installed(dnf) == []


def test_package_picks_dnf(dnf: ManagedHost) -> None:
    run = dnf.play([{"package": {"name": "wxlib", "state": "present", "use": "dnf"}}])
    assert run.statuses == ["changed"] and installed(dnf) == ["wxlib-2.0-1.noarch"], run.told()
    dnf.host.ssh("mv /usr/bin/apt-get /usr/bin/apt-get.away")
    try:
        assert dnf.play([{"package": {"name": "wxlib", "state": "absent"}}]).statuses == ["changed"]
        facts = dnf.play([{"package_facts": {"manager": "rpm"}}, {"package_facts": {}}])
        assert facts.statuses[0] == "failed" and installed(dnf) == []
    finally:
        dnf.host.ssh("mv /usr/bin/apt-get.away /usr/bin/apt-get")


def test_lists_and_facts(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxlib-1.0")
    run = dnf.play([{"dnf": {"list": "wxlib"}}, {"dnf": {"list": "updates"}}, {"dnf": {"list": "repos"}},
                    {"package_facts": {"manager": ["dnf"]}}])  # fmt: skip
    one, updates, repositories = (result.result["results"] for result in run.results[:3])
    assert {(each["version"], each["yumstate"]) for each in one} == {("1.0", "installed"), ("1.0", "available"),
                                                                      ("2.0", "available")}  # fmt: skip
    assert [each["nevra"] for each in updates] == ["wxlib-2.0-1.noarch"]
    assert repositories == [{"repoid": "ours", "state": "enabled"}]
    assert run.results[3].result["ansible_facts"]["packages"]["wxlib"] == [
        {"name": "wxlib", "version": "1.0", "release": "1", "epoch": None, "arch": "noarch", "source": "rpm"}
    ]


def test_packages_are_fetched_into_a_directory(dnf: ManagedHost) -> None:
    dnf.host.ssh("mkdir -p /srv/rpms")
    promised(dnf, {"dnf": {"name": "wxapp-1.0", "download_only": True, "download_dir": "/srv/rpms"}},
             leaves=["ls /srv/rpms/wxapp-1.0-1.noarch.rpm /srv/rpms/wxlib-1.0-1.noarch.rpm"])  # fmt: skip
    dnf.host.ssh("rm -r /srv/rpms")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "wxnone"}, "Failed to install some of the specified packages"),
        ({"name": "wxlib", "use_backend": "dnf5"}, "dnf5 is not supported"),
        ({"name": "wxlib", "installroot": "/mnt"}, "another installroot"),
        ({"name": "/srv/x.rpm", "state": "absent"}, "Cannot remove paths"),
        ({"name": "wxlib", "best": True, "nobest": True}, "mutually exclusive: best|nobest"),
    ],
    ids=["unknown", "dnf5", "installroot", "path", "best"],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str, dnf: ManagedHost) -> None:
    for check in (True, False):
        run = dnf.play([{"dnf": given}], check=check)
        assert run.statuses == ["failed"] and message in run.results[0].result["msg"], run.told()


def test_whoever_holds_the_lock_is_named(dnf: ManagedHost) -> None:
    dnf.host.ssh("sleep 60 >/dev/null 2>&1 & echo $! >/var/lib/dnf/rpmdb_lock.pid")
    run = dnf.play([{"dnf": {"name": "wxlib", "lock_timeout": 1}}])
    dnf.host.ssh("kill $(cat /var/lib/dnf/rpmdb_lock.pid); rm /var/lib/dnf/rpmdb_lock.pid")
    assert run.statuses == ["failed"] and "(sleep 60)" in run.results[0].result["msg"], run.told()


def test_a_version_that_no_repository_has_any_more_is_named(dnf: ManagedHost) -> None:
    dnf.host.ssh("dnf -y -q install wxlib-1.0 && mkdir /srv/away && mv /srv/repo/noarch/wxlib-1.0* /srv/away/ && "
                 "createrepo_c -q /srv/repo && dnf -q clean all")  # fmt: skip
    try:
        run = dnf.play([{"dnf": {"name": "wxlib", "state": "latest"}}])
        assert run.statuses == ["changed"]
        assert "no way back" in str(run.results[0].result["warnings"])
        back = dnf.rollback(run.run)
        assert "wxlib-1.0-1.noarch" in str(back.events)
        assert installed(dnf) == ["wxlib-2.0-1.noarch"]
    finally:
        dnf.host.ssh("mv /srv/away/* /srv/repo/noarch/ && rmdir /srv/away && createrepo_c -q /srv/repo && "
                     "dnf -q clean all && dnf -q makecache")  # fmt: skip
