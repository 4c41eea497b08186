"""What dnf shows of a transaction, in our words."""

from __future__ import annotations

import pytest

from wxops.agent.modules.dnf import _matches
from wxops.agent.process import Completed
from wxops.agent.redhat.dnf import Plan, failure
from wxops.agent.redhat.rpm import nevra

TABLE = b"""\
Dependencies resolved.
================================================================================
 Package                                Arch    Version          Repo      Size
================================================================================
Installing:
 kernel-core                            x86_64  5.14.0-503.el9   baseos    18 M
 a-package-with-a-name-that-fills-its-whole-column-and-more
                                        noarch  1:2.0-3.el9      appstream 1.2 k
     replacing  old-name.noarch 1.9-1.el9
Upgrading:
 glibc                                  x86_64  2.34-125.el9     baseos   1.9 M
Downgrading:
 wxlib                                  noarch  1.0-1            ours     6.4 k
Installing dependencies:
 wxneed                                 noarch  1.0-1            ours     512
Removing:
 wxapp                                  noarch  1.0-1            @ours     62
Removing unused dependencies:
 wxunused                               noarch  1.0-1            @ours     62
Skipping packages with conflicts:
 wxskip                                 noarch  1.0-1            ours      62

Transaction Summary
================================================================================
Install  3 Packages
"""
BEFORE = {
    "kernel-core.x86_64": ["0:5.14.0-427.el9"], "glibc.x86_64": ["0:2.34-100.el9"], "wxlib.noarch": ["0:2.0-1"],
    "wxapp.noarch": ["0:1.0-1"], "wxunused.noarch": ["0:1.0-1"], "old-name.noarch": ["0:1.9-1.el9"],
}  # fmt: skip


def completed(stdout: bytes, stderr: bytes = b"", rc: int = 1) -> Completed:
    return Completed(["dnf"], rc, stdout, stderr, 0, 0)


def test_the_table_is_read() -> None:
    assert Plan(completed(TABLE), BEFORE).wanted == {
        "kernel-core.x86_64": ["0:5.14.0-427.el9", "0:5.14.0-503.el9"],
        "a-package-with-a-name-that-fills-its-whole-column-and-more.noarch": ["1:2.0-3.el9"],
        "old-name.noarch": None,
        "glibc.x86_64": ["0:2.34-125.el9"],
        "wxlib.noarch": ["0:1.0-1"],
        "wxneed.noarch": ["0:1.0-1"],
        "wxapp.noarch": None,
        "wxunused.noarch": None,
    }


def test_it_is_told_as_ansible_tells_it() -> None:
    told = Plan(completed(TABLE), BEFORE).told(BEFORE)
    assert told[0] == "Installed: kernel-core-5.14.0-503.el9.x86_64"
    assert told[1].endswith("-more-1:2.0-3.el9.noarch") and "Removed: glibc-2.34-100.el9.x86_64" in told


def test_nothing_to_do_is_no_plan() -> None:
    assert Plan(completed(b"Dependencies resolved.\nNothing to do.\nComplete!\n", rc=0), BEFORE).wanted == {}
    assert Plan(completed(TABLE), BEFORE, nothing=True).wanted == {}


def test_an_unknown_package_is_named() -> None:
    result = failure(completed(b"No match for argument: wxnone\n", b"Error: Unable to find a match: wxnone\n")).result
    assert result["msg"] == "Failed to install some of the specified packages"
    assert result["failures"][0] == "No package wxnone available." and result["rc"] == 1


def test_names_have_no_epoch_of_zero() -> None:
    assert (nevra("a-b.noarch", "0:1-2"), nevra("a.x86_64", "3:1-2")) == ("a-b-1-2.noarch", "a-3:1-2.x86_64")


@pytest.mark.parametrize(
    ("spec", "there"),
    [("wxlib", True), ("wxlib.noarch", True), ("wxlib-2.0", True), ("wxlib-2.0-1", True), ("wxlib-2.0-1.noarch", True),
     ("wx*", True), ("wxlib-1.0", False), ("wxlib.x86_64", False), ("wxli", False)],
)  # fmt: skip
def test_a_package_has_several_names(spec: str, there: bool) -> None:
    assert _matches(spec, {"wxlib.noarch": ["0:2.0-1"]}) is there
