"""An image's wheels are those of the running environment: all that is needed, nothing else, in the same versions."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from wxops.errors import LabError
from wxops.lab.wheels import installed_pins


def test_pins_are_the_installed_versions_of_direct_and_indirect_needs() -> None:
    pins = installed_pins("docker")
    for needed in ("requests", "urllib3", "idna"):  # idna is needed by requests
        assert f"{needed}=={version(needed)}" in pins


def test_neither_the_package_itself_nor_its_extras_are_pinned() -> None:
    names = {pin.split("==")[0] for pin in installed_pins("docker")}
    assert not names & {"docker", "paramiko"}, "docker[ssh] would bring paramiko"


def test_an_extra_that_is_asked_for_is_pinned_with_the_rest() -> None:
    names = {pin.split("==")[0] for pin in installed_pins("docker", "ssh")}
    assert names >= {"requests", "paramiko", "cryptography"}, "cryptography is paramiko's need"


def test_a_package_that_is_not_installed_says_what_to_do() -> None:
    with pytest.raises(LabError, match="make setup"):
        installed_pins("no-such-package")
