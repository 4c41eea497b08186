"""MIG: whether a GPU that is divided has instances, a driver that divides it, and no change that waits for a reset."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, warned
from wxops.audit.gpu import Gpu, Mode
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import driver_of, driver_upgrade, of_kind
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import each_gpu, missing

OFF = "MIG is off"


@rule(
    "health.mig-settled",
    area="hardware",
    severity="warn",
    title="No change of MIG mode waits for a reset",
    why="A mode that was asked for but is not in force is a surprise at the next reboot.",
    source="NVIDIA MIG User Guide, Enable MIG Mode",
)
def settled(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, mig: Mode) -> Judgement:
        if mig.current != mig.pending:
            now, then = ("on", "off") if mig.current else ("off", "on")
            back = f"nvidia-smi -i {gpu.index} -mig {int(mig.current)}"
            fix = f"nvidia-smi --gpu-reset -i {gpu.index}, or take it back: {back}"
            return warned(subject, f"MIG is {now}, and will be {then} after a reset", fix)
        return passed(subject, "MIG is on" if mig.current else OFF)

    yield from each_gpu(host, lambda gpu: gpu.mig, "MIG", judge)


@rule(
    "mig.has-instances",
    area="hardware",
    severity="fail",
    title="A GPU in MIG mode has instances",
    why="In MIG mode a program gets an instance or nothing: without one CUDA finds no device, and nothing says why.",
    source="NVIDIA MIG User Guide, Creating GPU Instances",
)
def has_instances(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, mig: Mode) -> Judgement:
        if not mig.current:
            return skipped(subject, OFF)
        if not gpu.mig_instances.known:
            return missing(subject, gpu.mig_instances, "the count of its instances")
        if gpu.mig_instances.value:
            return passed(subject, f"{gpu.mig_instances.value} instances")
        at = f"-i {gpu.index}"
        fix = f"make some: nvidia-smi mig {at} -cgi PROFILE -C, or turn MIG off: nvidia-smi {at} -mig 0"
        return failed(subject, "MIG is on and there is no instance: no program can use the GPU", fix)

    yield from each_gpu(host, lambda gpu: gpu.mig, "MIG", judge)


@rule(
    "mig.driver-divides",
    area="hardware",
    severity="fail",
    title="The driver is new enough to divide the GPU",
    why="Each kind of GPU can be divided from some driver on; before it instances cannot be made, or do not last.",
    source="compat.yaml: mig",
)
def driver_divides(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)

    def judge(subject: str, gpu: Gpu, mig: Mode) -> Judgement:
        if not (mig.current or mig.pending):
            return skipped(subject, OFF)
        row = next((row for row in known.tables.mig if of_kind(gpu.name.value or "", row.gpu)), None)
        if row is None or row.min_driver is None or driver is None:
            return skipped(
                subject, f"the table of {known.tables.collected} names no driver for {gpu.name.value or 'it'}"
            )
        if driver < row.min_driver:
            evidence = f"{row.gpu} needs {row.min_driver} or later for MIG, driver {driver}"
            return failed(subject, evidence, driver_upgrade(known, host, row.min_driver), row.certain)
        return passed(subject, f"driver {driver}, {row.gpu} needs {row.min_driver} or later for MIG")

    yield from each_gpu(host, lambda gpu: gpu.mig, "MIG", judge)
