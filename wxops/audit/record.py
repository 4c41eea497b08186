"""What an audit knows of one host: the typed record that the module gpu_facts fills and the rules judge.

The agent sends it as JSON with these names. A section that could not be gathered is a `Reading` that says why, and so
is each field that a GPU or a driver may not have. Versions are text as their makers write them; sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wxops.audit.gpu import Gpu, NvidiaDriver
from wxops.audit.reading import Reading, unknown
from wxops.audit.software import ContainerRuntime, ImageToDeploy, Library, Toolkit, Torch

SCHEMA = 1


@dataclass(frozen=True)
class System:
    """The operating system. os_id, os_version: as in /etc/os-release; kernel: as `uname -r` says."""

    hostname: str
    os_id: str
    os_version: str
    os_name: str
    kernel: str
    architecture: str
    boot_id: str = ""
    uptime_s: float = 0.0
    secure_boot: Reading[bool] = field(default_factory=unknown)
    time_synchronized: Reading[bool] = field(default_factory=unknown)
    memory_total: int = 0
    memory_available: int = 0
    virtualization: str = ""


@dataclass(frozen=True)
class Disk:
    """A mounted file system on a disk."""

    mount: str
    total: int
    free: int


@dataclass(frozen=True)
class PciDevice:
    """A GPU or accelerator as the PCI bus has it, with or without a driver. vendor, device: hex, without 0x.

    driver: the kernel driver that is bound; "" when none is. width, max_width: lanes, 0 where sysfs says nothing.
    """

    address: str
    vendor: str
    device: str
    driver: str = ""
    width: int = 0
    max_width: int = 0


@dataclass(frozen=True)
class KernelModule:
    """The NVIDIA module that is loaded. open: NVIDIA's open modules, not the proprietary ones."""

    version: str
    open: bool = False


@dataclass(frozen=True)
class FabricManager:
    """nvidia-fabricmanager, which NVSwitch boards need."""

    version: str
    active: bool


@dataclass(frozen=True)
class Xid:
    """XID errors of one code on one GPU in the kernel's log since boot; of an NVSwitch, they are SXIDs.

    last: the latest line's time, as the log has it. text: the latest line's words.
    """

    code: int
    pci_address: str
    count: int
    last: str = ""
    text: str = ""


@dataclass(frozen=True)
class Package:
    """A package of the distribution. candidate: what would be installed now, "" where the host does not know that.

    security: the candidate is in a security archive.
    """

    name: str
    version: str
    candidate: str = ""
    security: bool = False
    held: bool = False


@dataclass(frozen=True)
class OpenSSL:
    """OpenSSL as the distribution keeps it. version: what `openssl version` says.

    index_day: when the host last fetched what the distribution offers (YYYY-MM-DD, UTC); "" where that is not known.
    restart_needed: who still runs one that was replaced; unknown where not every process could be looked into.
    """

    version: str
    packages: tuple[Package, ...] = ()
    index_day: str = ""
    restart_needed: Reading[tuple[str, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class Setting:
    """A variable that steers CUDA programs, and where it is set: a file, a service or a container."""

    name: str
    value: str
    where: str


@dataclass(frozen=True)
class OtherGpu:
    """A GPU of AMD's or a Gaudi of Intel's. Fields that the tool did not tell are unknown."""

    index: int
    name: Reading[str] = field(default_factory=unknown)
    uuid: Reading[str] = field(default_factory=unknown)
    pci_address: Reading[str] = field(default_factory=unknown)
    architecture: Reading[str] = field(default_factory=unknown)
    memory_total: Reading[int] = field(default_factory=unknown)
    memory_used: Reading[int] = field(default_factory=unknown)
    temperature: Reading[int] = field(default_factory=unknown)
    ecc_uncorrected: Reading[int] = field(default_factory=unknown)
    firmware: Reading[str] = field(default_factory=unknown)


@dataclass(frozen=True)
class OtherVendor:
    """AMD's or Intel Gaudi's stack. driver: of the loaded kernel module; runtime: ROCm's or SynapseAI's version."""

    vendor: Literal["amd", "gaudi"]
    driver: Reading[str] = field(default_factory=unknown)
    runtime: Reading[str] = field(default_factory=unknown)
    tool: str = ""
    gpus: Reading[tuple[OtherGpu, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class HostRecord:
    """All that was read on one host. collected: when, UTC; seconds: how long the host took; notes: what went wrong.

    nvidia: None where there is no trace of NVIDIA. nvidia_module_on_disk: the version of the module that the running
    kernel would load, "" when none is built for it. to_deploy: what `audit --image` named, not what the host told.
    """

    host: str
    system: System
    collected: str = ""
    seconds: float = 0.0
    schema: int = SCHEMA
    disks: tuple[Disk, ...] = ()
    pci: tuple[PciDevice, ...] = ()
    nvidia_module: KernelModule | None = None
    nvidia_module_on_disk: str = ""
    nouveau_loaded: bool = False
    nvidia: NvidiaDriver | None = None
    fabric_manager: FabricManager | None = None
    toolkits: Reading[tuple[Toolkit, ...]] = field(default_factory=unknown)
    libraries: Reading[tuple[Library, ...]] = field(default_factory=unknown)
    torches: Reading[tuple[Torch, ...]] = field(default_factory=unknown)
    runtime: Reading[ContainerRuntime] = field(default_factory=unknown)
    xids: Reading[tuple[Xid, ...]] = field(default_factory=unknown)
    sxids: Reading[tuple[Xid, ...]] = field(default_factory=unknown)
    openssl: Reading[OpenSSL] = field(default_factory=unknown)
    packages: Reading[tuple[Package, ...]] = field(default_factory=unknown)
    settings: Reading[tuple[Setting, ...]] = field(default_factory=unknown)
    others: tuple[OtherVendor, ...] = ()
    notes: tuple[str, ...] = ()
    to_deploy: tuple[ImageToDeploy, ...] = ()

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The NVIDIA GPUs that the driver told of; none when it told of nothing."""
        return (self.nvidia.gpus.value or ()) if self.nvidia else ()

    def pci_of(self, vendor: str) -> tuple[PciDevice, ...]:
        """The GPUs of a vendor (hex) on the PCI bus."""
        return tuple(device for device in self.pci if device.vendor == vendor)

    def pci_address_of(self, gpu: Gpu) -> str:
        """As NVML tells it; of a GPU that the driver lost, the one address on the bus that no other has, else ""."""
        if gpu.pci_address.value or not gpu.lost:
            return gpu.pci_address.value or ""
        told = [each.pci_address.value for each in self.gpus if each.pci_address.value]
        left = [
            device.address
            for device in self.pci_of("10de")
            if device.driver != "vfio-pci" and not any(same_address(each, device.address) for each in told)
        ]
        return left[0] if len(left) == 1 else ""


def same_address(one: str, other: str) -> bool:
    """NVML writes eight digits of domain, the kernel four, and some lines leave the function out."""
    short, long = sorted((each.lower().rpartition(".")[0] or each.lower() for each in (one, other)), key=len)
    return bool(short) and long.endswith(short)
