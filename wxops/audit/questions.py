"""What rules ask of the tables: the driver that a CUDA release needs, a GPU's architecture, the best branch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.tables import Architecture, CudaFloor, DriverBranch, TorchBuild, TorchCode, TorchRelease
from wxops.audit.versions import Version, version

PUBLISHED = re.compile(r"\d+(\.\d+)+(\+(cu|cpu|rocm)[\d.]*)?")
PREFERRED = ("LTSB", "PB", "NFB")


def driver_of(host: HostRecord) -> Version | None:
    """The version of the driver that answers, else that of the loaded module."""
    told = host.nvidia.driver_version.value if host.nvidia else None
    return version(told) or version(host.nvidia_module.version if host.nvidia_module else None)


def driver_cuda(host: HostRecord) -> Version | None:
    """The newest CUDA release that the driver knows."""
    return version(host.nvidia.cuda_version.value) if host.nvidia else None


def compute_capabilities(host: HostRecord) -> tuple[Version, ...]:
    """Those of the host's NVIDIA GPUs, each once, the oldest first."""
    return tuple(sorted({found for gpu in host.gpus if (found := version(gpu.compute_capability.value))}))


def cuda_floor(known: Knowledge, cuda: Version) -> CudaFloor | None:
    """The oldest driver for a CUDA major release."""
    return next((row for row in known.tables.cuda_floors if row.cuda_major == cuda.major), None)


def released_with(known: Knowledge, cuda: Version) -> Version | None:
    """The driver that the first release of a toolkit came with: from it on, nothing of the toolkit is missing."""
    rows = [row.driver for row in known.tables.bundled_drivers if row.cuda.first(2) == cuda.first(2) and row.driver]
    return min(rows, default=None)


def architecture_of(known: Knowledge, cc: Version) -> tuple[Architecture, bool] | None:
    """A GPU's architecture, and whether the table has just its compute capability, not only one of its family."""
    rows = known.tables.architectures
    for row in rows:
        if cc in row.cc:
            return row, row.certain
    family = [row for row in rows if any(each.major == cc.major and each <= cc for each in row.cc)]
    return (family[-1], False) if family else None


def last_branch(known: Knowledge, ccs: Iterable[Version]) -> tuple[Version, Architecture] | None:
    """The newest driver branch that still knows all these GPUs, where there is such an end."""
    found = [row for cc in ccs if (row := architecture_of(known, cc))]
    ends = [(row.driver_last_branch, row) for row, _ in found if row.driver_last_branch]
    return min(ends, key=lambda end: end[0], default=None)


def branch_of(known: Knowledge, driver: Version) -> DriverBranch | None:
    return next((row for row in known.tables.driver_branches if row.branch.major == driver.major), None)


def best_branch(known: Knowledge, host: HostRecord, at_least: Version | None = None) -> DriverBranch | None:
    """The branch to upgrade to: alive today, long-lived first, and one that still knows the host's GPUs."""
    limit = last_branch(known, compute_capabilities(host))
    rows = [
        row
        for row in known.tables.driver_branches
        if row.ends >= known.today
        and (at_least is None or row.branch.major >= at_least.major)
        and (limit is None or row.branch <= limit[0])
    ]
    return min(rows, key=lambda row: (PREFERRED.index(row.kind), -row.ends.toordinal()), default=None)


def driver_upgrade(known: Knowledge, host: HostRecord, at_least: Version) -> str:
    """The upgrade in words, with the version, its branch, and until when that is kept up."""
    branch = best_branch(known, host, at_least)
    if branch is None:
        limit = last_branch(known, compute_capabilities(host))
        if limit and limit[0].major < at_least.major:
            return (
                f"no driver after branch {limit[0]} knows {limit[1].arch} GPUs: use software for CUDA "
                f"{limit[1].cuda_last or limit[1].cuda_first}, or another GPU"
            )
        return f"upgrade the driver to {at_least} or later, then reboot"
    to = at_least if branch.branch.major == at_least.major else branch.latest_seen or branch.branch
    kept_up = f"branch {branch.branch} {branch.kind}, alive until {branch.eol}"
    return f"upgrade the driver to {to} or later ({kept_up}), then reboot"


def of_kind(name: str, kind: str) -> bool:
    """Whether a GPU's name has a table's word for it: "NVIDIA H100 80GB HBM3" is an H100, a GH200 is no H200."""
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(kind)}(?![A-Za-z0-9])", name) is not None


def gpus_from(known: Knowledge, cc: Version) -> str:
    """GPUs of a compute capability or the next one above it, as examples: " (such as L4, L40, L40S)"; "" for none."""
    rows = [(Version(least), names) for least, names in known.tables.gpus.items() if not names[0].startswith("Jetson")]
    found = min((row for row in rows if row[0] >= cc), key=lambda row: row[0], default=None)
    return f" (such as {', '.join(found[1][:3])})" if found else ""


def safe_container_toolkit(known: Knowledge) -> tuple[Version, bool] | None:
    """The first container toolkit that no container can break out of, and whether that is certain."""
    rows = [(row.fixed, row.certain) for row in known.tables.container_toolkit if row.fixed]
    return max(rows, key=lambda row: row[0], default=None)


def published(torch: Version) -> bool:
    """Whether PyTorch's own project built it: 2.13.0+cu130; NVIDIA's builds are 2.9.0a0+50eac811a6.nv25.09."""
    return bool(PUBLISHED.fullmatch(torch.text))


def torch_release(known: Knowledge, torch: Version) -> TorchRelease | None:
    return next((row for row in known.tables.torch if torch.starts_with(row.torch)), None)


def torch_build(known: Knowledge, torch: Version, cuda: Version) -> TorchBuild | None:
    """The official build of a PyTorch release for a CUDA release."""
    release = torch_release(known, torch)
    return next((each for each in release.builds if each.cuda.first(2) == cuda.first(2)), None) if release else None


def torch_code(known: Knowledge, torch: Version, cuda: Version, machine: str) -> TorchCode | None:
    """For which GPUs an official build holds code, by the machine's architecture (x86_64, aarch64)."""
    rows = known.tables.torch_code_aarch64 if machine == "aarch64" else known.tables.torch_code
    return next(
        (
            row
            for row in rows
            if any(torch.starts_with(each) for each in row.torch) and row.cuda.first(2) == cuda.first(2)
        ),
        None,
    )


def runs_machine_code(built: Version, cc: Version) -> bool:
    """Machine code of X.Y runs on GPUs of X.Z from Z = Y on."""
    return built.major == cc.major and built.minor <= cc.minor


def build_for(
    known: Knowledge, torch: Version, ccs: Iterable[Version], driver: Version | None, machine: str
) -> tuple[TorchRelease, TorchBuild] | None:
    """A published build with machine code for these GPUs, which the driver runs: of this release, else the newest."""
    ccs = tuple(ccs)
    releases = sorted(known.tables.torch, key=lambda row: (torch.starts_with(row.torch), row.torch), reverse=True)
    for release in releases:
        for build in sorted(release.builds, key=lambda build: (build.pypi_default, build.cuda), reverse=True):
            code, floor = torch_code(known, release.torch, build.cuda, machine), cuda_floor(known, build.cuda)
            runs = driver is None or floor is None or driver >= floor.min_driver_linux
            if code and runs and all(any(runs_machine_code(have, cc) for have in code.sass) for cc in ccs):
                return release, build
    return None
