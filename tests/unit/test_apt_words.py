"""What apt-get, apt-cache and a task say, in our words."""

from __future__ import annotations

import pytest

from wxops.agent.debian.apt_get import STEP, parse_policy
from wxops.agent.debian.archives import file_name
from wxops.agent.debian.change_packages import UNKNOWN
from wxops.agent.debian.request import Spec
from wxops.agent.failure import ModuleFailure

SIMULATED = """\
The following packages will be upgraded:
  openssl
Remv cron [3.0pl1-162]
Purg old [1:2-3]
Inst openssl [3.0.20-1~deb12u2] (3.0.22-1~deb12u2 Debian-Security:12/oldstable-security [amd64]) []
Inst libc6:i386 (2.36-9 Debian:12/stable [i386])
Conf openssl (3.0.22-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
"""
POLICY = """\
curl:
  Installed: 7.88.1-10
  Candidate: 7.88.1-12
  Version table:
     7.88.1-12 500
        500 http://mirror/debian bookworm/main amd64 Packages
 *** 7.88.1-10 100
        100 /var/lib/dpkg/status
     7.88.1-5 500
        500 http://mirror/security bookworm/main amd64 Packages
        500 file:/srv/repo ./ Packages
local:
  Installed: 1
  Candidate: 1
  Version table:
 *** 1 100
        100 /var/lib/dpkg/status
blocked:
  Installed: (none)
  Candidate: (none)
  Version table:
     2 -1
        500 http://mirror/debian bookworm/main amd64 Packages
"""
ERRORS = """\
E: Unable to locate package nope
E: Package 'mail-transport-agent' has no installation candidate
E: Version '9.9' for 'hello' was not found
"""


def test_a_simulation_names_every_package_with_its_versions() -> None:
    assert STEP.findall(SIMULATED) == [
        ("Remv", "cron", "3.0pl1-162", ""),
        ("Purg", "old", "1:2-3", ""),
        ("Inst", "openssl", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"),
        ("Inst", "libc6:i386", "", "2.36-9"),
    ]


def test_only_what_a_source_has_is_on_offer() -> None:
    assert parse_policy(POLICY) == {"curl": ("7.88.1-12", ["7.88.1-12", "7.88.1-5"]), "blocked": (None, ["2"])}


def test_every_package_that_apt_does_not_know_is_named() -> None:
    found = [match.groupdict() for match in UNKNOWN.finditer(ERRORS)]
    assert [each["name"] or each["virtual"] or each["of"] for each in found] == [
        "nope",
        "mail-transport-agent",
        "hello",
    ]
    assert found[2]["version"] == "9.9"


@pytest.mark.parametrize(
    ("text", "version", "allowed"),
    [
        ("foo", "1.0", True),
        ("foo=1.0", "1.0", True),
        ("foo=1.0", "1.0-1", False),
        ("foo=1.*", "1.0-1", True),
        ("foo=1.*", "2.0", False),
        ("foo=570.124*", "570.124.06-0ubuntu1", True),
    ],
)
def test_a_version_or_a_pattern_is_matched_as_a_whole(text: str, version: str, allowed: bool) -> None:
    assert Spec(text).allows(version) == allowed


@pytest.mark.parametrize("text", ["a b", "foo=", "foo==1", "=1", ""])
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(ModuleFailure, match="is no package"):
        Spec(text)


def test_a_deb_is_named_as_apt_names_it() -> None:
    assert file_name("libc6:i386", "1:2.36-9", "i386") == "libc6_1%3a2.36-9_i386.deb"
