"""AMD's GPUs: whether kernel driver and ROCm are a pair that AMD supports, and what ECC could not correct."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import alike, missing
from wxops.audit.tables import AmdDriver
from wxops.audit.versions import Version

FIRST_APART = 30  # the first driver that was released apart from ROCm is 30.10


@rule(
    "amd.driver-runs-rocm",
    area="driver",
    severity="fail",
    title="The amdgpu driver and ROCm are a pair that AMD supports",
    why="User space and kernel driver are released apart and work with each other within about a year.",
    source="compat.yaml: amd",
)
def driver_runs_rocm(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = [each for each in host.others if each.vendor == "amd"]
    if not found:
        yield skipped("ROCm", "this host has no AMD GPU")
    for each in found:
        if not each.runtime.known:
            yield missing("ROCm", each.runtime, "its version")
        elif not each.driver.known:
            yield missing("ROCm", each.driver, "the version of the amdgpu module")
        else:
            yield _pair(known, each.driver.value or "", each.runtime.value or "")


def _pair(known: Knowledge, driver: str, rocm: str) -> Judgement:
    try:
        module, runtime = Version(driver), Version(rocm)
    except ValueError as error:
        return undetermined("ROCm", str(error))
    row, certain = _row(known, module)
    if row is None:
        return undetermined("ROCm", f"amdgpu {driver} is not in AMD's table of {known.tables.collected}")
    supported = ", ".join(map(str, row.rocm))
    evidence = f"ROCm {rocm}, amdgpu {driver} (driver {row.driver}) is for {supported}"
    if any(runtime.starts_with(each) for each in row.rocm):
        return passed("ROCm", evidence)
    fit = [each for each in known.tables.amd if any(runtime.starts_with(have) for have in each.rocm)]
    newest = max(fit, key=lambda each: each.driver, default=None)
    fix = f"install AMD's driver {newest.driver}, then reboot" if newest else f"install ROCm {row.rocm[-1]}"
    return failed("ROCm", evidence, fix, certain)


def _row(known: Knowledge, module: Version) -> tuple[AmdDriver | None, bool]:
    """The driver's row, by the kernel module's version, which has numbers of its own, or by a release's number."""
    by_module = next((each for each in known.tables.amd_modules if each.module == module), None)
    wanted = by_module.driver if by_module else module
    if by_module is None and module.major < FIRST_APART:
        return None, False  # 6.3.6 is the module of ROCm 6.0: what looks like a release is none
    row = next((each for each in known.tables.amd if wanted.starts_with(each.driver)), None)
    return row, bool(row and row.certain and not by_module)


@rule(
    "amd.no-uncorrected",
    area="hardware",
    severity="fail",
    title="No AMD GPU has memory errors that ECC could not correct",
    why="An uncorrected error ends the program that meets it; a GPU with many of them is to be replaced.",
    source="Linux kernel documentation, drm/amdgpu RAS: ras/*_err_count (ue)",
)
def no_uncorrected(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = [gpu for each in host.others if each.vendor == "amd" for gpu in each.gpus.value or ()]
    if not found:
        yield skipped("GPUs", "this host has no AMD GPU")

    def judged() -> Iterator[tuple[int, Judgement]]:
        for gpu in found:
            count = gpu.ecc_uncorrected
            if not count.known:
                yield gpu.index, missing("", count, "the count of uncorrected errors")
            elif count.value:
                fix = f"drain and reset it (amd-smi reset --gpureset -g {gpu.index}), or reboot the host"
                yield gpu.index, failed("", f"{count.value} uncorrected errors", fix)
            else:
                yield gpu.index, passed("", "none")

    yield from alike(judged())
