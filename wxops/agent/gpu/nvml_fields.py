"""What NVML is asked of each GPU: a field of the record, and the calls that answer it.

Names, enums and bits: nvidia-ml-py 13.615.71, pynvml.py. A call that the device or the driver lacks raises NVMLError,
as any other that fails; nvml_error.py makes readings of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.gpu.nvml_error import error_name, reading_of
from wxops.agent.gpu.reading import not_supported, read

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    Field = Callable[[Any, Any], Any]
    """Takes pynvml and a GPU's handle, and gives a value as the record has it."""

ARCHITECTURES = {2: "Kepler", 3: "Maxwell", 4: "Pascal", 5: "Volta", 6: "Turing", 7: "Ampere", 8: "Ada", 9: "Hopper",
                 10: "Blackwell", 13: "Rubin"}  # fmt: skip
RECOVERY_ACTION = 230
RECOVERY_ACTIONS = ("none", "gpu_reset", "node_reboot", "drain_p2p", "drain_and_reset", "recover_imex", "bus_reset",
                    "system_reboot")  # fmt: skip
CLOCKS_EVENTS = ("gpu_idle", "applications_clocks", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal",
                 "hw_thermal", "hw_power_brake", "display_clocks", "board_limit", "reliability")  # fmt: skip
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")
FABRIC_SUMMARIES = ("", "healthy", "unhealthy", "limited_capacity")
FABRIC_HEALTH = ((0, "degraded_bandwidth"), (2, "route_recovery"), (4, "route_unhealthy"), (6, "access_timeout"))
"""Shift in the health mask, and what is so when its two bits are 1."""
FABRIC_CONFIGURATION = 8  # the shift of four bits; from 2 on the configuration is wrong in some way
REMOTES = {0: "gpu", 1: "ibm_npu", 2: "switch"}
LINK_ERRORS = (0, 1, 2)
"""Replay, recovery, and CRC of flits: what `nvidia-smi nvlink -e` tells of. The next one, CRC of data, counts what is
corrected on its way, and grows on every healthy link (two H200, driver 580.159.04, 2026-11-30: by 4 in ten seconds)."""
CORRECTED, UNCORRECTED = 0, 1
VOLATILE, AGGREGATE = 0, 1


def _word(words: Any, number: int) -> str:
    return str(words[number]) if 0 <= number < len(words) else "%d" % number


def _missing(nvml: Any, error: Any) -> bool:
    """Does the driver not have this call, or not this version of it?"""
    return error.value in (nvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
                           nvml.NVML_ERROR_DEPRECATED)  # fmt: skip


def _first(nvml: Any, *calls: Callable[[], Any]) -> Any:
    """The answer of the newest call that the driver has."""
    for call in calls[:-1]:
        try:
            return call()
        except nvml.NVMLError as error:
            if not _missing(nvml, error):
                raise
    return calls[-1]()


def _mode(values: Any) -> Dict[str, bool]:
    return {"current": bool(values[0]), "pending": bool(values[1])}


def _pci_address(nvml: Any, gpu: Any) -> str:
    found = nvml.nvmlDeviceGetPciInfo(gpu)
    return "%04x:%02x:%02x.0" % (found.domain, found.bus, found.device)


def _memory(nvml: Any, gpu: Any) -> Any:
    return _first(
        nvml,
        lambda: nvml.nvmlDeviceGetMemoryInfo(gpu, nvml.nvmlMemory_v2),  # what the driver keeps is not `used` here
        lambda: nvml.nvmlDeviceGetMemoryInfo(gpu),
    )


def _ecc(kind: int, counter: int) -> Field:
    return lambda nvml, gpu: nvml.nvmlDeviceGetTotalEccErrors(gpu, kind, counter)


def _sram_threshold(nvml: Any, gpu: Any) -> bool:
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(gpu, nvml.byref(status))
    return bool(status.bThresholdExceeded)


def _remapped_rows(nvml: Any, gpu: Any) -> Dict[str, Any]:
    correctable, uncorrectable, pending, failure = nvml.nvmlDeviceGetRemappedRows(gpu)
    return {"correctable": correctable, "uncorrectable": uncorrectable, "pending": bool(pending),
            "failure": bool(failure)}  # fmt: skip


def _retired_pages(nvml: Any, gpu: Any) -> Dict[str, Any]:
    single, double = (len(nvml.nvmlDeviceGetRetiredPages(gpu, cause)) for cause in (0, 1))
    pending = reading_of(nvml, lambda: bool(nvml.nvmlDeviceGetRetiredPagesPendingStatus(gpu)))
    return {"single_bit": single, "double_bit": double, "pending": pending}


def _recovery_action(nvml: Any, gpu: Any) -> str:
    field = nvml.nvmlDeviceGetFieldValues(gpu, [RECOVERY_ACTION])[0]
    if field.nvmlReturn == nvml.NVML_ERROR_INVALID_ARGUMENT:  # a driver that does not know this field yet
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    if field.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(field.nvmlReturn)
    return _word(RECOVERY_ACTIONS, field.value.uiVal)  # a small number, whatever the width of its type


def _clocks_events(nvml: Any, gpu: Any) -> List[str]:
    bits = _first(
        nvml,
        lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu),
        lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),  # its name before driver 535
    )
    return [_word(CLOCKS_EVENTS, bit) for bit in range(64) if bits >> bit & 1]


def _temperature(nvml: Any, gpu: Any) -> int:
    return int(_first(
        nvml,
        lambda: nvml.nvmlDeviceGetTemperatureV(gpu, nvml.NVML_TEMPERATURE_GPU),
        lambda: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    ))  # fmt: skip


def _mig_instances(nvml: Any, gpu: Any) -> int:
    if not nvml.nvmlDeviceGetMigMode(gpu)[0]:
        return 0
    found = 0
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
            found += 1
        except nvml.NVMLError as error:
            if error.value not in (nvml.NVML_ERROR_NOT_FOUND, nvml.NVML_ERROR_INVALID_ARGUMENT):
                raise
    return found


def _nvlinks(nvml: Any, gpu: Any) -> List[Dict[str, Any]]:
    """Those that the GPU has: the first that it has not ends them. A GPU without any raises "not supported"."""
    found: List[Dict[str, Any]] = []
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            active = bool(nvml.nvmlDeviceGetNvLinkState(gpu, link))
        except nvml.NVMLError as error:
            if link and error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_INVALID_ARGUMENT):
                break
            raise
        found.append(_nvlink(nvml, gpu, link, active))
    return found


def _nvlink(nvml: Any, gpu: Any, link: int, active: bool) -> Dict[str, Any]:
    about: Dict[str, Any] = {"link": link, "active": active}
    version = reading_of(nvml, lambda: nvml.nvmlDeviceGetNvLinkVersion(gpu, link)).get("value")
    if version is not None:
        about["version"] = version
    if active:
        remote = reading_of(nvml, lambda: nvml.nvmlDeviceGetNvLinkRemoteDeviceType(gpu, link)).get("value", -1)
        about["remote"] = REMOTES.get(remote, "unknown")
        counter = nvml.nvmlDeviceGetNvLinkErrorCounter
        about["errors"] = reading_of(nvml, lambda: sum(counter(gpu, link, kind) for kind in LINK_ERRORS))
    return about


def _fabric(nvml: Any, gpu: Any) -> Dict[str, str]:
    found = _first(nvml, lambda: _fabric_v(nvml, gpu, nvml.c_nvmlGpuFabricInfo_v3_t()),
                   lambda: _fabric_v(nvml, gpu, nvml.c_nvmlGpuFabricInfo_v2_t()),
                   lambda: _fabric_1(nvml, gpu))  # fmt: skip
    if found.state == 0:
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    return {"state": _word(FABRIC_STATES, found.state), "status": error_name(nvml, found.status),
            "health": _fabric_health(found)}  # fmt: skip


def _fabric_v(nvml: Any, gpu: Any, info: Any) -> Any:
    nvml.nvmlDeviceGetGpuFabricInfoV(gpu, nvml.byref(info))
    return info


def _fabric_1(nvml: Any, gpu: Any) -> Any:
    info = nvml.c_nvmlGpuFabricInfo_t()
    nvml.nvmlDeviceGetGpuFabricInfo(gpu, nvml.byref(info))
    return info


def _fabric_health(found: Any) -> str:
    """The summary where the driver makes one; besides, or else, each thing that is wrong."""
    mask = getattr(found, "healthMask", 0)
    wrong = [word for shift, word in FABRIC_HEALTH if mask >> shift & 3 == 1]
    if mask >> FABRIC_CONFIGURATION & 15 > 1:
        wrong.append("incorrect_configuration")
    summary = _word(FABRIC_SUMMARIES, getattr(found, "healthSummary", 0))
    return ", ".join(([summary] if summary else []) + wrong)


def _inforom(nvml: Any, gpu: Any) -> bool:
    try:
        nvml.nvmlDeviceValidateInforom(gpu)
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_CORRUPTED_INFOROM:
            raise
        return False
    return True


def _processes(nvml: Any, gpu: Any) -> List[Dict[str, Any]]:
    found: Dict[Any, Dict[str, Any]] = {}
    listed = [("compute", process) for process in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)]
    graphics = reading_of(nvml, lambda: nvml.nvmlDeviceGetGraphicsRunningProcesses(gpu)).get("value") or []
    for kind, process in listed + [("graphics", each) for each in graphics]:
        memory = process.usedGpuMemory
        found[process.pid, kind] = {
            "pid": process.pid, "name": _process_name(process.pid), "kind": kind,
            "memory": not_supported("the driver does not tell") if memory is None else read(memory),
        }  # fmt: skip
    return list(found.values())


def _process_name(pid: int) -> str:
    """As `ps` has it, without arguments, in which secrets may stand; "" for one that has ended or is not seen here."""
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


FIELDS: Dict[str, Field] = {
    "name": lambda nvml, gpu: nvml.nvmlDeviceGetName(gpu),
    "uuid": lambda nvml, gpu: nvml.nvmlDeviceGetUUID(gpu),
    "serial": lambda nvml, gpu: nvml.nvmlDeviceGetSerial(gpu),
    "board_part": lambda nvml, gpu: nvml.nvmlDeviceGetBoardPartNumber(gpu),
    "pci_address": _pci_address,
    "vbios": lambda nvml, gpu: nvml.nvmlDeviceGetVbiosVersion(gpu),
    "architecture": lambda nvml, gpu: ARCHITECTURES.get(nvml.nvmlDeviceGetArchitecture(gpu), "unknown to this wxops"),
    "compute_capability": lambda nvml, gpu: "%d.%d" % tuple(nvml.nvmlDeviceGetCudaComputeCapability(gpu)),
    "memory_total": lambda nvml, gpu: _memory(nvml, gpu).total,
    "memory_used": lambda nvml, gpu: _memory(nvml, gpu).used,
    "bar1_total": lambda nvml, gpu: nvml.nvmlDeviceGetBAR1MemoryInfo(gpu).bar1Total,
    "ecc": lambda nvml, gpu: _mode(nvml.nvmlDeviceGetEccMode(gpu)),
    "ecc_corrected_volatile": _ecc(CORRECTED, VOLATILE),
    "ecc_uncorrected_volatile": _ecc(UNCORRECTED, VOLATILE),
    "ecc_corrected_aggregate": _ecc(CORRECTED, AGGREGATE),
    "ecc_uncorrected_aggregate": _ecc(UNCORRECTED, AGGREGATE),
    "sram_threshold_exceeded": _sram_threshold,
    "remapped_rows": _remapped_rows,
    "retired_pages": _retired_pages,
    "repair_pending": lambda nvml, gpu: any(nvml.nvmlDeviceGetRepairStatus(gpu)),
    "recovery_action": _recovery_action,
    "clocks_event_reasons": _clocks_events,
    "temperature": _temperature,
    "temperature_slowdown": lambda nvml, gpu: nvml.nvmlDeviceGetTemperatureThreshold(
        gpu, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
    ),
    "power": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "power_limit": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "power_limit_default": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000,
    "persistence": lambda nvml, gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu)),
    "compute_mode": lambda nvml, gpu: _word(COMPUTE_MODES, nvml.nvmlDeviceGetComputeMode(gpu)),
    "mig": lambda nvml, gpu: _mode(nvml.nvmlDeviceGetMigMode(gpu)),
    "mig_instances": _mig_instances,
    "pcie.generation": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie.max_generation": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu),
    "pcie.width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "pcie.max_width": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu),
    "pcie.replays": lambda nvml, gpu: nvml.nvmlDeviceGetPcieReplayCounter(gpu),
    "nvlinks": _nvlinks,
    "fabric": _fabric,
    "gsp_firmware": lambda nvml, gpu: nvml.nvmlDeviceGetGspFirmwareVersion(gpu),
    "inforom_valid": _inforom,
    "processes": _processes,
}

SYSTEM: Dict[str, Callable[[Any], Any]] = {
    "driver_version": lambda nvml: nvml.nvmlSystemGetDriverVersion(),
    "branch": lambda nvml: nvml.nvmlSystemGetDriverBranch().branch,
    "nvml_version": lambda nvml: nvml.nvmlSystemGetNVMLVersion(),
    "cuda_version": lambda nvml: "%d.%d" % divmod(nvml.nvmlSystemGetCudaDriverVersion_v2() // 10, 100),
}
