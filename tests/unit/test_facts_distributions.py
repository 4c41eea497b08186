"""Every distribution that we say we know goes by Ansible's name for it, and its package manager by its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.facts_host import host_of
from wxops.agent.facts.distribution import distribution, os_release
from wxops.agent.facts.lsb import lsb
from wxops.agent.facts.pkg_mgr import package_manager

CASES = yaml.safe_load((Path(__file__).parent / "data" / "distributions.yml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_release_files_tell_the_distribution(case: dict[str, Any], tmp_path: Path) -> None:
    facts = distribution(host_of(tmp_path, case["files"]))
    assert {name: facts.get(name) for name in case["facts"]} == case["facts"]


def test_os_release_is_unquoted_as_a_shell_would(tmp_path: Path) -> None:
    text = '# a comment\nNAME=\'Single\'\nPRETTY_NAME="A \\"quoted\\" name"\nID=plain\nbroken line\n'
    assert os_release(host_of(tmp_path, {"/etc/os-release": text})) == {
        "NAME": "Single",
        "PRETTY_NAME": 'A "quoted" name',
        "ID": "plain",
    }


def test_a_host_without_release_files_is_still_some_linux(tmp_path: Path) -> None:
    facts = distribution(host_of(tmp_path, {}))
    assert (facts["distribution"], facts["os_family"], facts["distribution_version"]) == (
        "OtherLinux",
        "OtherLinux",
        "NA",
    )


@pytest.mark.parametrize(
    ("family", "commands", "links", "expected"),
    [
        ("Debian", ["/usr/bin/apt-get", "/usr/bin/dnf"], {}, "apt"),
        ("RedHat", ["/usr/bin/dnf-3"], {"/usr/bin/dnf": "dnf-3"}, "dnf"),
        ("RedHat", ["/usr/bin/dnf5"], {"/usr/bin/dnf": "dnf5"}, "dnf5"),
        ("RedHat", ["/usr/bin/apt-get"], {}, "unknown"),
        ("Suse", ["/usr/bin/zypper"], {}, "zypper"),
        ("Unheard of", [], {}, "unknown"),
    ],
)
def test_the_package_manager_is_the_distributions_own(
    family: str, commands: list[str], links: dict[str, str], expected: str, tmp_path: Path
) -> None:
    host = host_of(tmp_path, dict.fromkeys(commands, ""), links)
    host.facts["os_family"] = family
    assert package_manager(host) == {"pkg_mgr": expected}


def test_lsb_facts_of_ubuntu_are_in_a_file(tmp_path: Path) -> None:
    files = next(case["files"] for case in CASES if case["name"] == "Ubuntu 24.04")
    assert lsb(host_of(tmp_path, files))["lsb"] == {
        "id": "Ubuntu", "release": "24.04", "major_release": "24", "codename": "noble",
        "description": "Ubuntu 24.04.2 LTS",
    }  # fmt: skip


def test_lsb_facts_of_debian_need_no_command_run(tmp_path: Path) -> None:
    files = dict(CASES[0]["files"], **{"/usr/bin/lsb_release": "#!/bin/sh\nexit 1\n"})
    assert lsb(host_of(tmp_path, files))["lsb"] == {
        "id": "Debian", "release": "12", "codename": "bookworm", "description": "Debian GNU/Linux 12 (bookworm)",
        "major_release": "12",
    }  # fmt: skip


def test_lsb_facts_elsewhere_are_what_the_command_prints(tmp_path: Path) -> None:
    printed = "LSB Version: n/a\nDistributor ID: openEuler\nDescription:\topenEuler release 22.03\nRelease:\t22.03"
    script = f"#!/bin/sh\necho '{printed}'\n"
    assert lsb(host_of(tmp_path, {"/usr/bin/lsb_release": script}))["lsb"] == {
        "id": "openEuler", "description": "openEuler release 22.03", "release": "22.03", "major_release": "22",
    }  # fmt: skip


def test_without_lsb_there_are_no_lsb_facts(tmp_path: Path) -> None:
    assert lsb(host_of(tmp_path, CASES[0]["files"])) == {"lsb": {}}
