"""What a host has for an engine: from an audit of wxops (its JSON, or the fact `gpu`) or this machine's driver."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")


class HostError(Exception):
    """Facts that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Gpu:
    """memory: bytes; free: those that nobody has taken, where that is known. cc: its compute capability, "" where it is

    not known. mig: it is cut into instances.
    """

    name: str
    memory: int
    cc: str = ""
    mig: bool = False
    free: int | None = None


@dataclass(frozen=True)
class Host:
    """memory: bytes that are available. driver: NVIDIA's, "" where there is none, or it did not tell."""

    name: str
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    memory: int = 0

    @property
    def same(self) -> tuple[Gpu, ...]:
        """The largest group of GPUs of one name: a model is not split over different ones."""
        if not self.gpus:
            return ()
        name = Counter(gpu.name for gpu in self.gpus).most_common(1)[0][0]
        return tuple(gpu for gpu in self.gpus if gpu.name == name)


def from_facts(text: str, source: str, name: str | None = None) -> Host:
    """A host from JSON: `wxops audit --json`, one record of it, or what the module gpu_facts returns.

    name: which of several hosts. Raises HostError for what is none of these.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise HostError(f"{source} is no JSON: {error}") from None
    records = _records(raw)
    if name is not None:
        records = [record for record in records if record.get("host") == name]
    if not records:
        raise HostError(f"{source} has no record of {name or 'a host'}: name what `wxops audit --json FILE` wrote")
    if len(records) > 1:
        names = ", ".join(str(record.get("host")) for record in records)
        raise HostError(f"{source} has several hosts: say which with --host-name ({names})")
    return _host(records[0])


def _records(raw: Any) -> list[Mapping[str, Any]]:
    if not isinstance(raw, dict):
        return []
    if "hosts" in raw:
        return [each["record"] for each in raw["hosts"] if isinstance(each, dict) and each.get("record")]
    record = raw.get("ansible_facts", raw)
    record = record.get("gpu", record)
    return [record] if isinstance(record, dict) and "system" in record else []


def _host(record: Mapping[str, Any]) -> Host:
    nvidia = record.get("nvidia") or {}
    told = _read(nvidia.get("gpus")) or ()
    gpus = tuple(_gpu(each) for each in told if not each.get("lost") and _read(each.get("memory_total")))
    system = record.get("system") or {}
    name = record.get("host") or system.get("hostname") or "the host"
    return Host(name, gpus, _read(nvidia.get("driver_version")) or "", int(system.get("memory_available") or 0))


def _gpu(raw: Mapping[str, Any]) -> Gpu:
    mig = _read(raw.get("mig")) or {}
    total, used = int(_read(raw["memory_total"])), _read(raw.get("memory_used"))
    return Gpu(_read(raw.get("name")) or "GPU", total, _read(raw.get("compute_capability")) or "",
               bool(mig.get("current")), None if used is None else total - int(used))  # fmt: skip


def _read(reading: Any) -> Any:
    """The value of a reading of the audit; None where it could not be had."""
    return reading.get("value") if isinstance(reading, dict) else None


def this_machine() -> Host:
    """This machine, as its driver tells. No driver, or none that answers, is a host without GPUs."""
    memory = _memory_available()
    try:
        import pynvml
    except ImportError:
        if Path("/dev/nvidiactl").exists():
            raise HostError(
                "this machine has an NVIDIA GPU, but not the package nvidia-ml-py, which asks its driver: install it "
                "or name facts with --host FILE"
            ) from None
        return Host("this machine", memory=memory)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return Host("this machine", memory=memory)
    try:
        gpus = tuple(_from_nvml(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        return Host("this machine", gpus, _text(pynvml.nvmlSystemGetDriverVersion()), memory)
    except pynvml.NVMLError as error:
        raise HostError(
            f"the NVIDIA driver of this machine answers with {error}: run `wxops audit` to see why"
        ) from None
    finally:
        pynvml.nvmlShutdown()


def _from_nvml(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        mig = pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError:  # a GPU that cannot be cut into instances
        mig = False
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(_text(pynvml.nvmlDeviceGetName(handle)), memory.total, f"{major}.{minor}", mig, memory.free)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _memory_available() -> int:
    for line in MEMINFO.read_text().splitlines() if MEMINFO.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
