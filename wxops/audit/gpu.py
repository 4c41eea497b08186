"""NVIDIA's driver and GPUs in the record of a host, as NVML tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wxops.audit.reading import Reading, unknown


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
