"""Processors, memory, firmware, disks and LVM, from files as real machines have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.facts_host import host_of
from wxops.agent.facts.block import devices
from wxops.agent.facts.hardware import firmware, memory, processors
from wxops.agent.facts.lvm import lvm


def two_sockets_of_two_cores_with_two_threads() -> str:
    cpus = [(number, number // 4, number // 2 % 2) for number in range(8)]
    return "\n\n".join(
        f"processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nphysical id\t: {socket}\n"
        f"siblings\t: 4\ncore id\t\t: {core}\ncpu cores\t: 2\nflags\t\t: fpu avx512f"
        for number, socket, core in cpus
    )


ARM = "\n\n".join(f"processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd" for number in range(4))
NO_TOPOLOGY = "\n\n".join(f"processor\t: {n}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC" for n in range(3))


@pytest.mark.parametrize(
    ("cpuinfo", "architecture", "sockets", "cores", "threads", "all_threads"),
    [
        (two_sockets_of_two_cores_with_two_threads(), "x86_64", 2, 2, 2, 8),
        (ARM, "aarch64", 4, 1, 1, 4),
        (NO_TOPOLOGY, "x86_64", 3, 1, 1, 3),
    ],
    ids=["two sockets with hyperthreading", "ARM without sockets", "virtual machine without topology"],
)
def test_processors(
    cpuinfo: str, architecture: str, sockets: int, cores: int, threads: int, all_threads: int, tmp_path: Path
) -> None:
    host = host_of(tmp_path, {"/proc/cpuinfo": cpuinfo})
    host.facts["architecture"] = architecture
    facts = processors(host)
    names = ("processor_count", "processor_cores", "processor_threads_per_core", "processor_vcpus")
    assert tuple(facts[name] for name in names) == (sockets, cores, threads, all_threads)
    assert facts["processor_nproc"] == len(os.sched_getaffinity(0))


def test_processors_are_listed_as_ansible_lists_them(tmp_path: Path) -> None:
    facts = processors(host_of(tmp_path, {"/proc/cpuinfo": two_sockets_of_two_cores_with_two_threads()}))
    assert facts["processor"][:6] == ["0", "GenuineIntel", "Intel(R) Xeon(R)", "1", "GenuineIntel", "Intel(R) Xeon(R)"]
    assert facts["flags"] == ["fpu", "avx512f"]


def test_memory_is_in_mebibytes(tmp_path: Path) -> None:
    kib = {"MemTotal": 8192, "MemFree": 1024, "Buffers": 1024, "Cached": 2048, "SwapCached": 0, "SwapTotal": 4096,
           "SwapFree": 3072}  # fmt: skip
    text = "".join(f"{name}:  {value * 1024} kB\n" for name, value in kib.items())
    assert memory(host_of(tmp_path, {"/proc/meminfo": text})) == {
        "memtotal_mb": 8192, "memfree_mb": 1024, "swaptotal_mb": 4096, "swapfree_mb": 3072,
        "memory_mb": {
            "real": {"total": 8192, "used": 7168, "free": 1024},
            "nocache": {"free": 4096, "used": 4096},
            "swap": {"total": 4096, "free": 3072, "used": 1024, "cached": 0},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"), [("17", "Main Server Chassis"), ("23", "Rack Mount Chassis"), ("99", "unknown (99)")]
)
def test_firmware(kind: str, expected: str, tmp_path: Path) -> None:
    folder = "/sys/devices/virtual/dmi/id/"
    facts = firmware(host_of(tmp_path, {folder + "product_name": "HGX H200\n", folder + "chassis_type": kind + "\n"}))
    assert (facts["product_name"], facts["form_factor"], facts["product_serial"]) == ("HGX H200", expected, "NA")


def disk(name: str, real: str, sectors: int) -> tuple[dict[str, str], dict[str, str]]:
    """A disk at its place below /sys/devices, and the links that lead there."""
    folder = f"/sys/devices/{real}/{name}"
    files = {
        f"{folder}/size": f"{sectors}\n", f"{folder}/removable": "0\n", f"{folder}/queue/rotational": "0\n",
        f"{folder}/queue/logical_block_size": "512\n", f"{folder}/queue/discard_granularity": "512\n",
        f"{folder}/queue/discard_max_hw_bytes": "4096\n", f"{folder}/queue/scheduler": "[none] mq-deadline\n",
    }  # fmt: skip
    return files, {f"/sys/block/{name}": f"../devices/{real}/{name}"}


def nvme_with_a_volume_group(tmp_path: Path) -> Any:
    files, links = disk("nvme0n1", "pci0000:00/0000:00:1d.0/0000:3b:00.0/nvme/nvme0", 2000409264)
    folder = "/sys/block/nvme0n1"
    volume, volume_links = disk("dm-0", "virtual/block", 204800)
    files.update(volume)
    links.update(volume_links)
    host_of(tmp_path, files, links)
    return host_of(
        tmp_path,
        {
            folder + "/device/model": "SAMSUNG MZQL2960HCJR\n", folder + "/device/serial": "S64FNE0R\n",
            folder + "/nvme0n1p1/size": "409600\n", folder + "/nvme0n1p1/start": "2048\n",
            folder + "/nvme0n1p1/holders/dm-0/dm/name": "vg0-root\n", folder + "/holders/.keep": "",
            "/sys/block/dm-0/slaves/nvme0n1p1/x": "", "/sys/block/dm-0/dm/name": "vg0-root\n",
            "/usr/bin/lspci": "#!/bin/sh\necho '0000:00:1d.0 PCI bridge'\necho '0000:3b:00.0 NVMe: Samsung PM9A3'\n",
        },
        {
            "/dev/disk/by-id/wwn-eui.36344630": "../../nvme0n1",
            "/dev/disk/by-id/nvme-SAMSUNG-part1": "../../nvme0n1p1",
            "/dev/disk/by-uuid/1b3c-9f": "../../nvme0n1p1", "/dev/disk/by-label/boot": "../../nvme0n1p1",
        },
    )  # fmt: skip


def test_a_disk_with_its_partition_controller_and_links(tmp_path: Path) -> None:
    facts = devices(nvme_with_a_volume_group(tmp_path))
    found = facts["devices"]["nvme0n1"]
    partition = found.pop("partitions")["nvme0n1p1"]
    assert found == {
        "vendor": None, "model": "SAMSUNG MZQL2960HCJR", "serial": "S64FNE0R", "wwn": "eui.36344630",
        "sas_address": None, "sas_device_handle": None, "removable": "0", "rotational": "0", "virtual": 1,
        "sectors": 2000409264, "sectorsize": "512", "size": "953.87 GB",
        "scheduler_mode": "none", "support_discard": "512", "host": "NVMe: Samsung PM9A3", "holders": [],
        "links": {"ids": ["wwn-eui.36344630"], "uuids": [], "labels": [], "masters": []},
    }  # fmt: skip
    assert partition == {
        "sectors": 409600, "sectorsize": 512, "size": "200.00 MB", "start": "2048", "uuid": "1b3c-9f",
        "holders": ["vg0-root"],
        "links": {"ids": ["nvme-SAMSUNG-part1"], "uuids": ["1b3c-9f"], "labels": ["boot"], "masters": ["dm-0"]},
    }  # fmt: skip
    assert facts["device_links"]["masters"] == {"nvme0n1p1": ["dm-0"]}


def test_scsi_disks_tell_their_serial_number_in_page_0x80(tmp_path: Path) -> None:
    host = host_of(tmp_path, *disk("sda", "pci0000:00/ata1", 8))
    page = tmp_path / "sys/block/sda/device/vpd_pg80"
    page.parent.mkdir()
    page.write_bytes(b"\x00\x80\x00\x08WD-1234  ")
    assert devices(host)["devices"]["sda"]["serial"] == "WD-1234"


def volume_commands(called: Path) -> dict[str, str]:
    rows = {"vgs": "vg0,1,2,0,wz--n-,953.00,53.00", "lvs": "root,vg0,-wi-ao----,100.00,,,,,,,,",
            "pvs": "/dev/dm-0,vg0,lvm2,a--,953.00,53.00"}  # fmt: skip
    return {f"/sbin/{name}": f"#!/bin/sh\necho {name} >> {called}\necho '  {row}'\n" for name, row in rows.items()}


@pytest.mark.skipif(os.geteuid() != 0, reason="LVM answers only root")
@pytest.mark.parametrize(
    "udev", [{"/run/udev/data/b8:2": "E:ID_FS_TYPE=LVM2_member\n"}, {}], ids=["udev saw one", "no udev"]
)
def test_lvm_is_asked_where_it_may_be_in_use(udev: dict[str, str], tmp_path: Path) -> None:
    host = host_of(tmp_path, {**volume_commands(tmp_path / "called"), **udev, "/sys/block/dm-0/dm/name": "luks-data\n"})
    assert lvm(host)["lvm"] == {
        "vgs": {"vg0": {"size_g": "953.00", "free_g": "53.00", "num_lvs": "2", "num_pvs": "1"}},
        "lvs": {"root": {"size_g": "100.00", "vg": "vg0"}},
        "pvs": {"/dev/mapper/luks-data": {"size_g": "953.00", "free_g": "53.00", "vg": "vg0"}},
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="LVM answers only root")
def test_lvm_is_not_asked_where_udev_saw_no_physical_volume(tmp_path: Path) -> None:
    host = host_of(tmp_path, {**volume_commands(tmp_path / "called"), "/run/udev/data/b8:1": "E:ID_FS_TYPE=ext4\n"})
    assert lvm(host) == {"lvm": {"vgs": {}, "lvs": {}, "pvs": {}}}
    assert not (tmp_path / "called").exists()


def test_without_lvm_the_fact_says_so(tmp_path: Path) -> None:
    assert lvm(host_of(tmp_path, {})) == {"lvm": "N/A"}
