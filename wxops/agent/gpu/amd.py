"""AMD's GPUs and ROCm, as the kernel's amdgpu module tells of them in sysfs: no tool and no library is needed.

Files: https://docs.kernel.org/gpu/amdgpu/driver-misc.html, .../ras.html, and the KFD's topology.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.gpu.pci import AMD, DEVICES
from wxops.agent.gpu.reading import not_supported, read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.reading import Reading

MODULE = "/sys/module/amdgpu"
ROCM = "/opt/rocm"
VERSIONS = ("/.info/version", "/.info/version-rocm")
TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"
TOOLS = ("amd-smi", "rocm-smi")


def amd(host: Host, devices: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """None when there is neither such a GPU nor ROCm. devices: the record's `pci`."""
    gpus = [device for device in devices if device["vendor"] == AMD]
    runtime = _rocm(host)
    if not gpus and not runtime:
        return None
    loaded, targets = host.exists(MODULE), _targets(host)
    return {
        "vendor": "amd", "driver": _driver(host) if loaded else unknown("the kernel module amdgpu is not loaded"),
        "runtime": read(runtime) if runtime else unknown("there is no ROCm in %s" % ROCM),
        "tool": next(filter(None, map(host.command, TOOLS)), "")[len(host.root):],
        "gpus": read([_gpu(host, index, gpu["address"], targets) for index, gpu in enumerate(gpus)]),
    }  # fmt: skip


def _rocm(host: Host) -> str:
    """7.0.1 of 7.0.1-42; of several in /opt the one that /opt/rocm leads to."""
    return next((host.read(ROCM + path).partition("-")[0] for path in VERSIONS if host.exists(ROCM + path)), "")


def _driver(host: Host) -> Reading:
    version = host.read(MODULE + "/version")
    return read(version) if version else not_supported("the kernel's own amdgpu has no version")


def _gpu(host: Host, index: int, address: str, targets: Dict[str, str]) -> Dict[str, Any]:
    folder = "%s/%s/" % (DEVICES, address)
    return {
        "index": index, "pci_address": read(address), "name": _text(host, folder + "product_name"),
        "uuid": _text(host, folder + "unique_id"), "firmware": _text(host, folder + "vbios_version"),
        "architecture": read(targets[address]) if address in targets else unknown("the KFD does not tell of it"),
        "memory_total": _number(host, folder + "mem_info_vram_total"),
        "memory_used": _number(host, folder + "mem_info_vram_used"),
        "temperature": _temperature(host, folder), "ecc_uncorrected": _uncorrected(host, folder + "ras/"),
    }  # fmt: skip


def _text(host: Host, path: str) -> Reading:
    found = host.read(path)
    return read(found) if found else not_supported("%s is not there" % path.rpartition("/")[2])


def _number(host: Host, path: str) -> Reading:
    found = host.read(path)
    return read(int(found)) if found.isdigit() else not_supported("%s is not there" % path.rpartition("/")[2])


def _temperature(host: Host, folder: str) -> Reading:
    """Degrees of the hottest sensor's label that there is: the junction's, else the edge's."""
    found = {}
    for name in host.names(folder + "hwmon"):
        for sensor in ("temp1", "temp2"):
            told = host.read("%shwmon/%s/%s_input" % (folder, name, sensor))
            if told.lstrip("-").isdigit():
                found[host.read("%shwmon/%s/%s_label" % (folder, name, sensor)) or sensor] = int(told) // 1000
    return read(max(found.values())) if found else not_supported("there is no sensor")


def _uncorrected(host: Host, folder: str) -> Reading:
    """Over all blocks of the GPU: each has a file with lines `ue: 0` and `ce: 0`."""
    counts = [re.search(r"^ue:\s*(\d+)", host.read(folder + name), re.MULTILINE)
              for name in host.names(folder) if name.endswith("_err_count")]  # fmt: skip
    known = [int(count.group(1)) for count in counts if count]
    return read(sum(known)) if known else not_supported("it counts no memory errors")


def _targets(host: Host) -> Dict[str, str]:
    """gfx942 by PCI address: gfx_target_version 90402 is major, minor and stepping, two digits each."""
    found = {}
    for node in host.names(TOPOLOGY):
        told = dict(line.split()[:2] for line in host.lines("%s/%s/properties" % (TOPOLOGY, node)) if " " in line)
        version, place = int(told.get("gfx_target_version", 0)), int(told.get("location_id", 0))
        if version:
            address = "%04x:%02x:%02x.%x" % (int(told.get("domain", 0)), place >> 8, place >> 3 & 31, place & 7)
            found[address] = "gfx%d%x%x" % (version // 10000, version // 100 % 100, version % 100)
    return found
