"""AMD's GPUs: whether the kernel driver and ROCm are a pair that AMD supports."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import missing
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
