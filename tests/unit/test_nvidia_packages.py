"""Which of NVIDIA's packages the role nvidia asks for, by distribution and driver branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.errors import Origin
from wxops.playbook.source import SourceStr, load_file
from wxops.playbook.templating import Templar

ROLE = Path(__file__).parents[2] / "playbooks" / "roles" / "nvidia"


def wanted(variable: str, distribution: str, **given: Any) -> Any:
    variables: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        variables.update(load_file(ROLE / part / "main.yml"))
    facts = {"distribution": distribution, "distribution_version": "24.04", "architecture": "x86_64"}
    templar = Templar({**variables, "ansible_facts": facts, "nvidia_has_nvswitch": True, **given})
    return templar.render(SourceStr(f"{{{{ {variable} }}}}", Origin("test")))


@pytest.mark.parametrize(
    ("distribution", "version", "driver", "fabric_manager"),
    [
        ("Debian", "580.159.03", ["nvidia-driver-cuda", "nvidia-kernel-open-dkms"], "nvidia-fabricmanager"),
        ("Debian", "595.71.05", ["nvidia-driver-cuda", "nvidia-kernel-open-dkms"], "nvidia-fabricmanager"),
        ("Ubuntu", "570.211.01", ["libnvidia-compute-570", "nvidia-utils-570", "nvidia-dkms-570-open"],
         "nvidia-fabricmanager-570"),
        ("Ubuntu", "580.159.03", ["libnvidia-compute-580", "nvidia-utils-580", "nvidia-dkms-580-open"],
         "nvidia-fabricmanager"),
        ("Ubuntu", "595.71.05", ["libnvidia-compute", "nvidia-utils", "nvidia-dkms-open"], "nvidia-fabricmanager"),
    ],
)  # fmt: skip
def test_a_server_gets_the_driver_without_a_desktop(
    distribution: str, version: str, driver: list[str], fabric_manager: str
) -> None:
    assert wanted("nvidia_driver_packages", distribution, nvidia_driver_version=version) == driver
    assert wanted("nvidia_fabricmanager_packages", distribution, nvidia_driver_version=version) == [fabric_manager]


def test_a_host_without_nvswitches_gets_no_fabric_manager() -> None:
    assert wanted("nvidia_fabricmanager_packages", "Debian", nvidia_has_nvswitch=False) == []
