"""What an audit knows of one host: the typed record that the module gpu_facts fills and the rules judge.

The agent sends it as JSON with these names. A section that could not be gathered is a `Reading` that says why, and so
is each field that a GPU or a driver may not have. Versions are text as their makers write them; sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wxops.audit.reading import Reading, unknown

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
class RemappedRows:
    """Rows of memory that were replaced. pending: a reset will replace more; failure: none could be replaced."""

    correctable: int
    uncorrectable: int
    pending: bool
    failure: bool


@dataclass(frozen=True)
class RetiredPages:
    """Pages that older GPUs retired, by cause. pending: more will be at the next reset."""

    single_bit: int
    double_bit: int
    pending: Reading[bool] = field(default_factory=unknown)


@dataclass(frozen=True)
class Mode:
    """A mode that changes at the next reset or reboot when pending differs from current."""

    current: bool
    pending: bool


@dataclass(frozen=True)
class NvLink:
    """One NVLink. errors: replay, recovery and CRC errors that it counted. remote: gpu, switch, ibm_npu, unknown."""

    link: int
    active: bool
    version: int = 0
    remote: str = ""
    errors: Reading[int] = field(default_factory=unknown)


@dataclass(frozen=True)
class Fabric:
    """Whether the GPU has joined its NVSwitch fabric.

    state: not_started, in_progress, completed. status: NVML_SUCCESS, or NVML's name of what kept it from joining.
    health: healthy, or words as degraded_bandwidth, route_unhealthy; "" when the driver does not judge.
    """

    state: str
    status: str = ""
    health: str = ""


@dataclass(frozen=True)
class Pcie:
    """The link to the host: generation and lanes now, and what card and slot could do together."""

    generation: Reading[int] = field(default_factory=unknown)
    max_generation: Reading[int] = field(default_factory=unknown)
    width: Reading[int] = field(default_factory=unknown)
    max_width: Reading[int] = field(default_factory=unknown)
    replays: Reading[int] = field(default_factory=unknown)


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU. kind: compute or graphics; memory: bytes, or why it is not told."""

    pid: int
    name: str
    kind: Literal["compute", "graphics"]
    memory: Reading[int] = field(default_factory=unknown)


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as NVML tells it. lost: the driver has lost it, and little else is known.

    clocks_event_reasons: words as hw_slowdown, sw_power_cap. recovery_action: none, gpu_reset, node_reboot, ... .
    compute_mode: default, exclusive_process, prohibited. pci_address: as sysfs has it, 0000:17:00.0.
    ecc_*: counted since the driver was loaded (volatile) or in the board's life (aggregate). Watts, degrees Celsius.
    """

    index: int
    lost: bool = False
    name: Reading[str] = field(default_factory=unknown)
    uuid: Reading[str] = field(default_factory=unknown)
    serial: Reading[str] = field(default_factory=unknown)
    board_part: Reading[str] = field(default_factory=unknown)
    pci_address: Reading[str] = field(default_factory=unknown)
    vbios: Reading[str] = field(default_factory=unknown)
    architecture: Reading[str] = field(default_factory=unknown)
    compute_capability: Reading[str] = field(default_factory=unknown)
    memory_total: Reading[int] = field(default_factory=unknown)
    memory_used: Reading[int] = field(default_factory=unknown)
    bar1_total: Reading[int] = field(default_factory=unknown)
    ecc: Reading[Mode] = field(default_factory=unknown)
    ecc_corrected_volatile: Reading[int] = field(default_factory=unknown)
    ecc_uncorrected_volatile: Reading[int] = field(default_factory=unknown)
    ecc_corrected_aggregate: Reading[int] = field(default_factory=unknown)
    ecc_uncorrected_aggregate: Reading[int] = field(default_factory=unknown)
    sram_threshold_exceeded: Reading[bool] = field(default_factory=unknown)
    remapped_rows: Reading[RemappedRows] = field(default_factory=unknown)
    retired_pages: Reading[RetiredPages] = field(default_factory=unknown)
    repair_pending: Reading[bool] = field(default_factory=unknown)
    recovery_action: Reading[str] = field(default_factory=unknown)
    clocks_event_reasons: Reading[tuple[str, ...]] = field(default_factory=unknown)
    temperature: Reading[int] = field(default_factory=unknown)
    temperature_slowdown: Reading[int] = field(default_factory=unknown)
    power: Reading[float] = field(default_factory=unknown)
    power_limit: Reading[float] = field(default_factory=unknown)
    power_limit_default: Reading[float] = field(default_factory=unknown)
    persistence: Reading[bool] = field(default_factory=unknown)
    compute_mode: Reading[str] = field(default_factory=unknown)
    mig: Reading[Mode] = field(default_factory=unknown)
    mig_instances: Reading[int] = field(default_factory=unknown)
    pcie: Pcie = field(default_factory=Pcie)
    nvlinks: Reading[tuple[NvLink, ...]] = field(default_factory=unknown)
    fabric: Reading[Fabric] = field(default_factory=unknown)
    gsp_firmware: Reading[str] = field(default_factory=unknown)
    inforom_valid: Reading[bool] = field(default_factory=unknown)
    processes: Reading[tuple[GpuProcess, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class NvidiaDriver:
    """NVIDIA's driver as its management library tells it.

    library: the real file of libnvidia-ml.so.1, which has the version in its name. error: NVML's name of what kept it
    from starting (NVML_ERROR_LIB_RM_VERSION_MISMATCH, NVML_ERROR_DRIVER_NOT_LOADED, ...); "" when it started.
    """

    library: str
    library_version: str = ""
    error: str = ""
    driver_version: Reading[str] = field(default_factory=unknown)
    branch: Reading[str] = field(default_factory=unknown)
    nvml_version: Reading[str] = field(default_factory=unknown)
    cuda_version: Reading[str] = field(default_factory=unknown)
    gpus: Reading[tuple[Gpu, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit on the host. in_use: /usr/local/cuda, CUDA_HOME or nvcc in PATH leads to it."""

    version: str
    path: str
    in_use: bool = False


@dataclass(frozen=True)
class Library:
    """A copy of a library that GPU programs load.

    name: cudart, cudnn, nccl, tensorrt, cublas, cuda-compat, nvrtc. cuda_major: for which CUDA it was built; 0 where
    its name does not say. owner: "system", or the path of the Python environment that it belongs to.
    """

    name: str
    version: str
    path: str
    cuda_major: int = 0
    owner: str = "system"


@dataclass(frozen=True)
class DeepCheck:
    """What happened when PyTorch was imported and used on one GPU. error: "" when all went well.

    device: "cuda:0 NVIDIA L4"; "" for the one check that tells that it could not even be imported.
    matmul_error, convolution_error: the largest relative difference from the reference on the CPU.
    """

    device: str
    error: str = ""
    seconds: float = 0.0
    matmul_error: float = 0.0
    convolution_error: float = 0.0


@dataclass(frozen=True)
class Torch:
    """A PyTorch that is installed somewhere on the host, read without importing it.

    place: "host", "container NAME" or "image NAME". path: its environment (sys.prefix or a site-packages directory).
    version: 2.13.0+cu130 as in its metadata. cuda, hip: of its build, "" for a CPU build. cudnn: the version that it
    loads, from its own nvidia-cudnn-cuXX package, else the library in its lib directory, else the system's.
    architectures: sm_90, compute_120, ... where they can be read or looked up. deep: only with `audit --deep`.
    """

    place: str
    path: str
    version: str
    python: str = ""
    cuda: str = ""
    hip: str = ""
    cudnn: str = ""
    nccl: str = ""
    architectures: Reading[tuple[str, ...]] = field(default_factory=unknown)
    deep: Reading[tuple[DeepCheck, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class CdiSpec:
    """A CDI specification. driver_version: of the libraries which it mounts; devices: names as nvidia.com/gpu=0."""

    path: str
    kind: str
    driver_version: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image that the host has. require_cuda: its NVIDIA_REQUIRE_CUDA; disable_require: it is not to be asked."""

    name: str
    digest: str = ""
    require_cuda: str = ""
    disable_require: bool = False
    cuda_version: str = ""


@dataclass(frozen=True)
class Container:
    """A container that runs. gpu: it was given GPUs, by the nvidia runtime, a device request or CDI."""

    name: str
    image: str
    gpu: bool = False


@dataclass(frozen=True)
class ContainerRuntime:
    """What runs containers, and how it hands GPUs to them. Versions are "" where a program is not installed.

    device_links: /dev/char has the symbolic links that keep a container's GPUs through `systemctl daemon-reload`.
    """

    docker: str = ""
    containerd: str = ""
    podman: str = ""
    toolkit: str = ""
    nvidia_runtime: bool = False
    default_runtime: str = ""
    cgroup_driver: str = ""
    rootless: bool = False
    no_cgroups: bool = False
    device_links: bool = False
    cdi: tuple[CdiSpec, ...] = ()
    images: Reading[tuple[Image, ...]] = field(default_factory=unknown)
    containers: Reading[tuple[Container, ...]] = field(default_factory=unknown)


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
    """OpenSSL as the distribution keeps it. version: what `openssl version` says."""

    version: str
    packages: tuple[Package, ...] = ()
    restart_needed: tuple[str, ...] = ()


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
    kernel would load, "" when none is built for it.
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

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The NVIDIA GPUs that the driver told of; none when it told of nothing."""
        return (self.nvidia.gpus.value or ()) if self.nvidia else ()

    def pci_of(self, vendor: str) -> tuple[PciDevice, ...]:
        """The GPUs of a vendor (hex) on the PCI bus."""
        return tuple(device for device in self.pci if device.vendor == vendor)
