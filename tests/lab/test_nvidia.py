"""The role nvidia on a host with a GPU: installed, held, upgraded, rebooted into and taken back.

The GPU is a directory laid over /sys/bus/pci/devices, the packages are stand-ins; apt, dpkg, systemd and reboots are
real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.module_case import ManagedHost, Played, differences
from tests.lab.stand_in_packages import build_repository, served
from wxops.lab import Lab
from wxops.lab.host import Host

PROVISION = Path(__file__).parents[2] / "playbooks" / "provision.yml"
OLD, NEW = "580.95.05", "580.159.03"
# The machine's own bus is what a lab host shows: this lays the test's over it, at each boot.
PLUGGED_CARD = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --bind /opt/pci /sys/bus/pci/devices
[Install]
WantedBy=multi-user.target
"""
HELD = {
    "nvidia-driver-cuda", "nvidia-kernel-open-dkms", "cuda-toolkit-13-0", "libcudnn9-cuda-13",
    "nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools", "libnvidia-container1",
}  # fmt: skip


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository of stand-ins and its key."""
    folder = tmp_path_factory.mktemp("repository")
    build_repository(folder)
    return folder


@pytest.fixture(scope="module")
def repository(lab: Lab, stand_ins: Path) -> Iterator[dict[str, Any]]:
    """The variables of the role that name the stand-ins, served to the lab."""
    with served(stand_ins, lab.network.gateway) as url:
        key = str(stand_ins / "key.asc")
        yield {
            "nvidia_repositories": [{"name": "stand-ins", "url": url, "suite": "./", "key": key}],
            "nvidia_kernel_headers": [],
        }


def plug(host: Host, slot: str, vendor: str, kind: str) -> None:
    card = host.root / "opt/pci" / slot
    card.mkdir(parents=True)
    (card / "vendor").write_text(f"{vendor}\n")
    (card / "class").write_text(f"{kind}\n")


@pytest.fixture
def gpu_host(host: Host) -> Host:
    """A pristine host with one card on its bus: an H200, by its numbers, beside a network card."""
    plug(host, "0000:17:00.0", "0x15b3", "0x020000")
    plug(host, "0000:3b:00.0", "0x10de", "0x030200")
    (host.root / "etc/systemd/system/plugged-card.service").write_text(PLUGGED_CARD)
    host.ssh("systemctl enable --now plugged-card")
    return host


@pytest.fixture
def hgx_host(gpu_host: Host) -> Host:
    """The same with an NVSwitch of an HGX board."""
    plug(gpu_host, "0000:05:00.0", "0x10de", "0x068000")
    return gpu_host


def install(
    managed: ManagedHost,
    repository: dict[str, Any],
    version: str,
    *,
    check: bool = False,
    tag: str = "nvidia",
    **more: Any,
) -> Played:
    variables = {**repository, "nvidia_driver_version": version, **more}
    return managed.run(PROVISION, tags=frozenset({"nvidia", tag}), extra_vars=variables, check=check)


def installed(host: Host, package: str) -> str:
    return host.ssh(f"dpkg-query -W -f '${{db:Status-Status}} ${{Version}}' {package}", check=False).stdout


def loaded(host: Host) -> str:
    return host.ssh("cat /sys/module/nvidia/version", check=False).stdout.strip()


def boot(host: Host) -> str:
    return host.ssh("cat /proc/sys/kernel/random/boot_id").stdout


def test_the_gpu_stack_is_installed_held_upgraded_and_taken_back(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    pristine = managed.tree()

    predicted = install(managed, repository, OLD, check=True)
    assert predicted.exit_code == 0, predicted.told()
    assert differences(pristine, managed.tree()) == []

    first = install(managed, repository, OLD)
    assert first.exit_code == 0, first.told()
    assert first.statuses == predicted.statuses
    assert "GPUs work after a reboot" in first.told()
    assert installed(gpu_host, "nvidia-driver-cuda") == f"installed {OLD}-1"
    assert installed(gpu_host, "xserver-xorg-video-nvidia-580") == f"installed {OLD}-1"
    assert set(gpu_host.ssh("apt-mark showhold").stdout.split()) == HELD
    assert "stand-ins" not in gpu_host.ssh("apt-get -s dist-upgrade").stdout, "an upgrade would replace what is pinned"
    assert loaded(gpu_host) == ""

    second = install(managed, repository, OLD)
    assert "changed" not in second.statuses, second.told()

    upgraded = install(managed, repository, NEW, nvidia_reboot=True)
    assert upgraded.exit_code == 0, upgraded.told()
    assert loaded(gpu_host) == NEW
    assert gpu_host.ssh("nvidia-smi -L").stdout.startswith("GPU 0")
    assert gpu_host.ssh("cat /run/nvidia-persistence-mode").stdout == "1\n"
    assert set(gpu_host.ssh("apt-mark showhold").stdout.split()) == HELD
    assert "changed" not in install(managed, repository, NEW, nvidia_reboot=True).statuses

    back = managed.rollback(upgraded.run)
    assert back.exit_code == 0, back.told()
    assert installed(gpu_host, "nvidia-driver-cuda") == f"installed {OLD}-1"
    assert set(gpu_host.ssh("apt-mark showhold").stdout.split()) == HELD
    assert "version mismatch" in gpu_host.ssh("nvidia-smi", check=False).stdout

    back = managed.rollback(first.run)
    assert back.exit_code == 0, back.told()
    assert gpu_host.ssh("apt-mark showhold").stdout == ""
    assert differences(pristine, managed.tree()) == []


def test_the_engine_offers_the_gpu_by_runtime_and_by_cdi(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    played = install(managed, repository, NEW, tag="docker", nvidia_reboot=True)
    assert played.exit_code == 0, played.told()
    assert "nvidia" in json.loads(gpu_host.ssh("docker info --format '{{json .Runtimes}}'").stdout)
    assert f"libcuda.so.{NEW}" in (gpu_host.root / "etc/cdi/nvidia.yaml").read_text()
    assert "changed" not in install(managed, repository, NEW, tag="docker", nvidia_reboot=True).statuses


def test_a_stack_that_cannot_work_is_refused_before_anything_is_touched(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    pristine = managed.tree()
    for wrong, reason in (
        ({"nvidia_cuda_version": "11.7.1"}, "CUDA 11.8"),
        ({"nvidia_cudnn_version": "8.5.0.96"}, "cuDNN 8.6"),
        ({"nvidia_container_toolkit_version": "1.17.7"}, "container toolkit 1.17.8"),
    ):
        played = install(managed, repository, OLD, **wrong)
        assert played.exit_code == 2
        assert reason in played.told()
    played = install(managed, repository, "570.211.01")
    assert "a driver from 580.65.06 on" in played.told()
    assert differences(pristine, managed.tree()) == []


def test_a_host_without_a_gpu_is_told_so_and_goes_on(
    host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    played = install(managed, repository, OLD)
    assert played.exit_code == 0
    assert "has no NVIDIA GPU" in played.told()
    assert "changed" not in played.statuses


def test_a_pending_reboot_stops_before_the_server_and_says_what_to_do(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    before = boot(gpu_host)
    variables = {**repository, "nvidia_driver_version": NEW, "runtime_image": "registry.invalid/never:pulled"}
    predicted = managed.run(PROVISION, extra_vars=variables, tags=frozenset({"nvidia", "runtime"}), check=True)
    played = managed.run(PROVISION, extra_vars=variables)
    name = gpu_host.name
    for run in (predicted, played):
        last = run.results[-1]
        assert (run.exit_code, last.task, last.status) == (2, "runtime : The GPUs can be used", "failed")
        assert last.result["msg"] == (
            f"The kernel of {name} runs no NVIDIA driver, installed is {NEW}: GPUs work after a reboot. Reboot {name} "
            "yourself or give `-e nvidia_reboot=true`, then run again."
        )
    assert boot(gpu_host) == before

    only = managed.run(PROVISION, extra_vars=variables, tags=frozenset({"runtime"}))
    assert only.results[-1].result["msg"].startswith(f"{name} runs no NVIDIA driver")


def test_a_host_that_a_reboot_would_not_help_is_not_rebooted_but_told_why(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    """In turn: a newer kernel that dkms did not build for; a module that the last boot did not load."""
    before = boot(gpu_host)
    (gpu_host.root / "boot/vmlinuz-99.1-stand-in").touch()
    (gpu_host.root / "boot/vmlinuz-99.1-stand-in.old").touch()
    played = install(managed, repository, NEW, nvidia_reboot=True)
    assert played.exit_code == 2
    assert played.results[-1].result["msg"] == (
        f"A reboot would not bring driver {NEW} up on {gpu_host.name}: that kernel has no module nvidia. Kernel "
        "99.1-stand-in boots next; dkms status: it has no nvidia; Secure Boot is off."
    )

    gpu_host.ssh("rm /boot/vmlinuz-99.1-stand-in* && touch -d 2026-01-01 /lib/modules/*/updates/dkms/nvidia.ko")
    played = install(managed, repository, NEW, nvidia_reboot=True)
    assert played.exit_code == 2
    assert "was there at the last boot, too, and was not loaded" in played.results[-1].result["msg"]
    assert boot(gpu_host) == before


def test_a_driver_that_does_not_come_up_is_named_with_its_kernel(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    gpu_host.ssh("systemctl mask nvidia-stand-in")
    played = install(managed, repository, NEW, nvidia_reboot=True)
    assert played.exit_code == 2
    told, kernel = played.results[-1].result["msg"], gpu_host.ssh("uname -r").stdout.strip()
    assert f"after the reboot its kernel runs no NVIDIA driver. Kernel {kernel} boots next" in told
    again = boot(gpu_host)
    assert install(managed, repository, NEW, nvidia_reboot=True).exit_code == 2
    assert boot(gpu_host) == again, "a second run reboots a host that the first one did not help"


def test_a_driver_may_wait_for_its_card(host: Host, managed: ManagedHost, repository: dict[str, Any]) -> None:
    before = boot(host)
    played = install(managed, repository, NEW, nvidia_gpu=True, nvidia_reboot=True)
    assert played.exit_code == 0, played.told()
    assert f"No NVIDIA GPU is on the PCI bus of {host.name} (nvidia_gpu: True): the driver waits" in played.told()
    assert boot(host) == before


def test_a_host_with_nvswitches_gets_the_fabric_manager_of_its_driver(
    hgx_host: Host, managed: ManagedHost, repository: dict[str, Any]
) -> None:
    played = install(managed, repository, OLD, nvidia_reboot=True)
    assert played.exit_code == 0, played.told()
    assert installed(hgx_host, "nvidia-fabricmanager") == f"installed {OLD}-1"
    assert hgx_host.ssh("systemctl is-enabled nvidia-fabricmanager").stdout == "enabled\n"
    assert set(hgx_host.ssh("apt-mark showhold").stdout.split()) == HELD | {"nvidia-fabricmanager"}
    assert hgx_host.ssh("systemctl is-active nvidia-fabricmanager").stdout == "active\n"
    assert "changed" not in install(managed, repository, OLD).statuses


def test_headers_come_for_the_kernels_to_come(
    gpu_host: Host, managed: ManagedHost, repository: dict[str, Any], stand_ins: Path
) -> None:
    image = stand_ins / "linux-image-stand-in_6.1_amd64.deb"
    (gpu_host.root / "root" / image.name).write_bytes(image.read_bytes())
    gpu_host.ssh(f"dpkg --install /root/{image.name}")
    played = install(managed, repository, NEW)
    assert played.exit_code == 0, played.told()
    assert installed(gpu_host, "linux-headers-stand-in") == "installed 6.1"
