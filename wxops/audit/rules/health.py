"""The GPUs themselves: that all answer, none is held back by heat or power, and all are of one kind and state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, warned
from wxops.audit.gpu import Gpu, GpuProcess
from wxops.audit.knowledge import Knowledge
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import NO_ANSWER, NO_GPU, alike, each_gpu, gib, missing, nvidia_cards, ranges, without_gpus

REASONS = "NVIDIA NVML, nvmlDeviceGetCurrentClocksEventReasons"
SLOWED = {
    "hw_slowdown": "the hardware halved its clocks",
    "hw_thermal": "it is too hot",
    "hw_power_brake": "the power supply asked it to slow down",
}
NEAR = 5  # degrees Celsius below the slowdown: the next load reaches it


@rule(
    "health.gpu-lost",
    area="hardware",
    severity="fail",
    title="The driver has lost no GPU",
    why="A GPU that fell off the bus comes back by a reboot at best; work on the others may hang with it.",
    source="compat.yaml: xid (79), nvml_errors (NVML_ERROR_GPU_IS_LOST)",
)
def gpu_lost(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if why := without_gpus(host):
        yield why
        return
    fix = "drain and reboot the host; if it happens again, reseat or replace the GPU"
    yield from alike(
        (gpu.index, failed("", _place(host, gpu), fix) if gpu.lost else passed("", "answers")) for gpu in host.gpus
    )


def _place(host: HostRecord, gpu: Gpu) -> str:
    where = host.pci_address_of(gpu)
    return f"it has fallen off the bus{f' at {where}' if where else ''}"


@rule(
    "health.all-answer",
    area="hardware",
    severity="fail",
    title="The driver tells of as many GPUs as the PCI bus has",
    why="A GPU that the driver could not start is not in nvidia-smi at all: nothing says that it is missing.",
    source="compat.yaml: xid (79, 143); NVIDIA/gpu-operator#1982",
)
def all_answer(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    on_bus, told = nvidia_cards(host), len(host.gpus)
    if not on_bus:
        yield skipped("GPUs", NO_GPU if not told else "the PCI bus is not seen from here")
    elif host.nvidia is None or host.nvidia.error:
        yield skipped("GPUs", NO_ANSWER)
    elif not host.nvidia.gpus.known:
        yield missing("GPUs", host.nvidia.gpus, "the list of GPUs")
    elif told < on_bus:
        names = {gpu.pci_address.value.lower()[-12:] for gpu in host.gpus if gpu.pci_address.value}
        gone = [
            d.address for d in host.pci_of("10de") if d.address.lower()[-12:] not in names and d.driver != "vfio-pci"
        ]
        fix = (
            "reboot; if it stays, look for NVRM lines of this address in the kernel's log and reseat or replace the GPU"
        )
        yield failed("GPUs", f"{on_bus} on the PCI bus, the driver tells of {told}: {', '.join(gone)} is missing", fix)
    else:
        yield passed("GPUs", f"{told} of {on_bus}")


@rule(
    "health.not-slowed",
    area="hardware",
    severity="fail",
    title="No GPU is slowed down by heat or power",
    why="Under a hardware slowdown a GPU gives half its speed or less, and nothing else says so.",
    source=f"{REASONS}; leptonai/gpud hw-slowdown",
)
def not_slowed(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, reasons: tuple[str, ...]) -> Judgement:
        hard = [reason for reason in reasons if reason in SLOWED]
        if hard:
            power = "hw_power_brake" in hard
            fix = (
                "mend the power supply of the node or rack"
                if power
                else "mend the cooling: fans, dust, air flow, inlet"
            )
            return failed(subject, f"{', '.join(hard)}: {SLOWED[hard[-1]]}", fix)
        if "sw_thermal" in reasons:
            return warned(
                subject, "sw_thermal: the driver slows it down for heat", "look at the cooling before it gets worse"
            )
        return passed(subject, ", ".join(reasons) or "full speed")

    yield from each_gpu(host, lambda gpu: gpu.clocks_event_reasons, "why clocks are low", judge)


@rule(
    "health.temperature",
    area="hardware",
    severity="fail",
    title="No GPU is near the temperature at which it slows down",
    why="At its slowdown temperature a GPU halves its clocks; a little above it shuts down.",
    source="NVIDIA NVML, nvmlDeviceGetTemperatureThreshold (slowdown)",
)
def temperature(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, degrees: int) -> Judgement:
        limit = gpu.temperature_slowdown.value
        if limit is None:
            return missing(subject, gpu.temperature_slowdown, "its slowdown temperature")
        if degrees >= limit:
            return failed(
                subject, f"at its slowdown temperature of {limit} °C", "mend the cooling: fans, dust, air flow"
            )
        if degrees > limit - NEAR:
            return warned(subject, f"less than {NEAR} °C below its slowdown at {limit} °C", "look at the cooling")
        return passed(subject, f"below {limit} °C")

    yield from each_gpu(host, lambda gpu: gpu.temperature, "its temperature", judge)


@rule(
    "health.persistence",
    area="hardware",
    severity="warn",
    title="Persistence mode is on",
    why="Without it the driver lets go of an idle GPU: each start takes seconds longer and settings are lost.",
    source="NVIDIA Driver Persistence, https://docs.nvidia.com/deploy/driver-persistence/",
)
def persistence(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, on: bool) -> Judgement:
        if on:
            return passed(subject, "on")
        return warned(subject, "off", "systemctl enable --now nvidia-persistenced")

    yield from each_gpu(host, lambda gpu: gpu.persistence, "persistence mode", judge)


@rule(
    "health.power-limit",
    area="hardware",
    severity="warn",
    title="Power limits are the boards' own",
    why="A lowered limit slows a GPU under load; it is often left from an experiment.",
    source="NVIDIA NVML, nvmlDeviceGetEnforcedPowerLimit, nvmlDeviceGetPowerManagementDefaultLimit",
)
def power_limit(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, watts: float) -> Judgement:
        default = gpu.power_limit_default.value
        if default is None:
            return missing(subject, gpu.power_limit_default, "its default power limit")
        if watts < default - 1:
            fix = f"nvidia-smi -i {gpu.index} -pl {default:.0f}, unless it is meant"
            return warned(subject, f"limited to {watts:.0f} W of {default:.0f} W", fix)
        return passed(subject, f"{watts:.0f} W")

    yield from each_gpu(host, lambda gpu: gpu.power_limit, "its power limit", judge)


@rule(
    "health.inforom",
    area="hardware",
    severity="fail",
    title="The InfoROM of each GPU is valid",
    why="It keeps the board's settings and its record of errors; a corrupt one is a reason for replacement.",
    source="NVIDIA NVML, nvmlDeviceValidateInforom; DCGM diagnostics, level 1",
)
def inforom(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, valid: bool) -> Judgement:
        if valid:
            return passed(subject, "valid")
        return failed(subject, "its checksum is wrong", "have the board's InfoROM restored or the board replaced")

    yield from each_gpu(host, lambda gpu: gpu.inforom_valid, "the InfoROM's checksum", judge)


@rule(
    "health.gsp-firmware",
    area="hardware",
    severity="fail",
    title="The GSP firmware that runs is the driver's",
    why="The driver loads firmware of its own version onto the GPU; another one means a half-made upgrade.",
    source="NVIDIA driver README, GSP Firmware (gsp_*.bin is of the driver's version); compat.yaml: xid (119, 120)",
)
def gsp_firmware(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = host.nvidia.driver_version.value if host.nvidia else None

    def judge(subject: str, gpu: Gpu, firmware: str) -> Judgement:
        if driver is None:
            return missing(
                subject, host.nvidia.driver_version if host.nvidia else Reading(None, "unknown"), "the driver's version"
            )
        if firmware != driver:
            return failed(
                subject,
                f"firmware {firmware}, driver {driver}",
                f"reinstall the firmware of driver {driver}, then reboot",
            )
        return passed(subject, f"{firmware}, as the driver")

    yield from each_gpu(host, lambda gpu: gpu.gsp_firmware, "GSP firmware", judge)


def _same(host: HostRecord, field: Callable[[Gpu], Reading[str]], what: str, fix: str) -> Iterator[Judgement]:
    """GPUs of one name that differ in a field."""
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for gpu in host.gpus:
        if gpu.lost:
            continue
        if not field(gpu).known or not gpu.name.known:
            yield missing(f"GPU {gpu.index}", field(gpu) if gpu.name.known else gpu.name, what)
            continue
        groups[gpu.name.value or ""][field(gpu).value or ""].append(gpu.index)
    for name, values in groups.items():
        if len(values) > 1:
            listed = "; ".join(f"{value} on GPU {ranges(indices)}" for value, indices in values.items())
            common = max(values, key=lambda value: len(values[value]))
            yield warned(name, f"{what}: {listed}", fix.format(common))
        else:
            yield passed(name, f"{what}: {next(iter(values))}")


@rule(
    "health.one-vbios",
    area="hardware",
    severity="warn",
    title="GPUs of one kind have one VBIOS",
    why="Different firmware on equal boards gives different clocks and limits; it is often a sign of a replaced board.",
    source="NVIDIA NVML, nvmlDeviceGetVbiosVersion; NVIDIA DGX firmware update guides",
)
def one_vbios(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if why := without_gpus(host):
        yield why
    else:
        yield from _same(host, lambda gpu: gpu.vbios, "VBIOS", "bring all to {0} with the vendor's firmware update")


@rule(
    "health.one-kind",
    area="hardware",
    severity="warn",
    title="The host's GPUs are of one kind",
    why="Tensor parallelism splits evenly: the smallest GPU sets the size and the slowest the pace.",
    source="vLLM documentation, Parallelism and Scaling",
)
def one_kind(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if why := without_gpus(host):
        yield why
        return
    kinds: dict[str, list[int]] = defaultdict(list)
    for gpu in host.gpus:
        if gpu.lost:
            continue
        if not gpu.name.known:
            yield missing(f"GPU {gpu.index}", gpu.name, "its name")
            continue
        kinds[gpu.name.value or ""].append(gpu.index)
    listed = "; ".join(f"{name} (GPU {ranges(indices)})" for name, indices in kinds.items())
    if len(kinds) > 1:
        common = max(kinds, key=lambda name: len(kinds[name]))
        yield warned("GPUs", listed, f"serve with CUDA_VISIBLE_DEVICES={','.join(map(str, kinds[common]))}")
    elif kinds:
        yield passed("GPUs", listed)


@rule(
    "health.free",
    area="hardware",
    severity="warn",
    title="Nothing holds the memory that a model needs",
    why="A forgotten process keeps its memory; the engine then fails to start, or takes fewer requests.",
    source="NVIDIA NVML, nvmlDeviceGetComputeRunningProcesses; DCGM diagnostics, level 1 (graphics processes)",
)
def free(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, processes: tuple[GpuProcess, ...]) -> Judgement:
        listed = ", ".join(
            f"{each.name} (pid {each.pid}{', ' + gib(each.memory.value) if each.memory.value else ''})"
            for each in processes
        )
        graphics = [each for each in processes if each.kind == "graphics"]
        if graphics:
            return warned(
                subject,
                f"a display is on it: {listed}",
                "stop the graphical session: systemctl isolate multi-user.target",
            )
        if processes and known.demand:
            return warned(
                subject, f"{listed} and {known.demand.model} is to be served", "stop what is not wanted there"
            )
        return passed(subject, listed or "no process")

    yield from each_gpu(host, lambda gpu: gpu.processes, "its processes", judge)


@rule(
    "health.compute-mode",
    area="hardware",
    severity="fail",
    title="GPUs let programs in",
    why="In compute mode prohibited no CUDA program starts; in exclusive_process only one at a time.",
    source="nvidia-smi manual, --compute-mode",
)
def compute_mode(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, mode: str) -> Judgement:
        fix = f"nvidia-smi -i {gpu.index} -c DEFAULT"
        if mode == "prohibited":
            return failed(subject, "compute mode prohibited: no CUDA program may start", fix)
        if mode != "default":
            return warned(subject, f"compute mode {mode}: one program at a time", f"{fix}, unless it is meant")
        return passed(subject, mode)

    yield from each_gpu(host, lambda gpu: gpu.compute_mode, "its compute mode", judge)
