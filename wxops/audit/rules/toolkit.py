"""CUDA toolkits on the host: whether the driver runs what they build, and whether they build for the host's GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import (
    architecture_of,
    compute_capabilities,
    cuda_floor,
    driver_cuda,
    driver_of,
    driver_upgrade,
    released_with,
)
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.software import Library, Toolkit
from wxops.audit.subjects import NO_ANSWER, missing
from wxops.audit.versions import Version, version

NONE = "there is no CUDA toolkit on this host"


def toolkits(host: HostRecord) -> Iterator[tuple[Toolkit, Version] | Judgement]:
    """Each toolkit with its version, or what is to be said instead."""
    if not host.toolkits.known:
        yield missing("CUDA toolkits", host.toolkits, "what is installed")
    elif not host.toolkits.value:
        yield skipped("CUDA toolkits", NONE)
    for toolkit in host.toolkits.value or ():
        found = version(toolkit.version)
        yield (toolkit, found) if found else undetermined(toolkit.path, f"version {toolkit.version!r} is no number")


def named(toolkit: Toolkit) -> str:
    return f"CUDA {toolkit.version} in {toolkit.path}"


@rule(
    "toolkit.driver-runs",
    area="toolkit",
    severity="fail",
    title="The driver runs programs of the toolkit's CUDA major",
    why="Each CUDA major has an oldest driver; below it programs fail with 'CUDA driver version is insufficient'.",
    source="compat.yaml: cuda_minor_version_compat",
)
def driver_runs(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)
    for each in toolkits(host):
        if isinstance(each, Judgement):
            yield each
            continue
        toolkit, cuda = each
        floor = cuda_floor(known, cuda)
        if driver is None:
            yield skipped(named(toolkit), NO_ANSWER)
        elif floor is None:
            newest = max(row.cuda_major for row in known.tables.cuda_floors)
            if cuda.major > newest:
                yield undetermined(
                    named(toolkit), f"CUDA {cuda.major} is newer than the table of {known.tables.collected}"
                )
            else:
                yield passed(named(toolkit), f"driver {driver} runs CUDA {cuda.major}: newer drivers run older CUDA")
        elif driver < floor.min_driver_linux:
            fix = driver_upgrade(known, host, floor.min_driver_linux)
            evidence = f"driver {driver}, CUDA {cuda.major} needs {floor.min_driver_linux} or later"
            evidence += "" if toolkit.in_use else "; it is not in use"
            yield failed(named(toolkit), evidence, fix, certain=toolkit.in_use and floor.certain)
        else:
            yield passed(named(toolkit), f"driver {driver}, CUDA {cuda.major} needs {floor.min_driver_linux} or later")


@rule(
    "toolkit.minor-version",
    area="toolkit",
    severity="warn",
    title="The driver knows the toolkit's CUDA release, not only its major",
    why="Within a major an older driver runs newer programs with limits: what it must compile from PTX at start fails "
    "with CUDA_ERROR_UNSUPPORTED_PTX_VERSION, and newer features are missing.",
    source="compat.yaml: cuda_minor_version_compat.rules (mvc_ptx, cuda_gt_driver), cuda_toolkit_bundled_driver",
)
def minor_version(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver, knows = driver_of(host), driver_cuda(host)
    for each in toolkits(host):
        if isinstance(each, Judgement):
            yield each
            continue
        toolkit, cuda = each
        if driver is None or knows is None:
            yield skipped(named(toolkit), NO_ANSWER)
        elif not toolkit.in_use:
            yield skipped(named(toolkit), "it is not in use")
        elif knows >= Version(cuda.first(2)):
            yield passed(named(toolkit), f"driver {driver} knows CUDA {knows}")
        elif knows.major < cuda.major:
            yield skipped(named(toolkit), "the driver is of an older CUDA major, see toolkit.driver-runs")
        else:
            at_least = released_with(known, cuda)
            fix = driver_upgrade(known, host, at_least) if at_least else f"build with CUDA {knows}"
            yield warned(
                named(toolkit),
                f"driver {driver} knows CUDA {knows}: programs need machine code for the GPU in them, PTX does not run",
                fix,
            )


@rule(
    "toolkit.knows-gpu",
    area="toolkit",
    severity="fail",
    title="The toolkit in use can build for the host's GPUs",
    why="A toolkit older than an architecture does not know it, and newer ones drop old architectures.",
    source="compat.yaml: architectures, cuda_toolkit_bundled_driver.toolkit_events",
)
def knows_gpu(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in toolkits(host):
        if isinstance(each, Judgement):
            yield each
            continue
        toolkit, cuda = each
        if not toolkit.in_use:
            yield skipped(named(toolkit), "it is not in use")
        elif not compute_capabilities(host):
            yield skipped(named(toolkit), "no GPU is known that it could build for")
        else:
            yield from (_builds_for(known, toolkit, cuda, cc) for cc in compute_capabilities(host))


def _builds_for(known: Knowledge, toolkit: Toolkit, cuda: Version, cc: Version) -> Judgement:
    found = architecture_of(known, cc)
    if found is None:
        return undetermined(named(toolkit), f"compute capability {cc} is not in the table of {known.tables.collected}")
    row, exact = found
    if row.cuda_first and cuda < row.cuda_first:
        evidence = f"{row.arch} ({cc}) came with CUDA {row.cuda_first}"
        return failed(named(toolkit), evidence, f"install CUDA toolkit {row.cuda_first} or later", exact)
    if row.cuda_last and not (cuda < row.cuda_last or cuda.starts_with(row.cuda_last)):
        evidence = f"the last CUDA for {row.arch} ({cc}) is {row.cuda_last}"
        return failed(named(toolkit), evidence, f"use a CUDA {row.cuda_last} toolkit on this host", exact)
    return passed(named(toolkit), f"builds for {row.arch} ({cc})")


@rule(
    "toolkit.one-in-use",
    area="toolkit",
    severity="warn",
    title="One toolkit is in use, not several",
    why="When PATH, CUDA_HOME and /usr/local/cuda lead to different toolkits, builds mix headers and libraries.",
    source="NVIDIA CUDA Installation Guide for Linux, Post-installation Actions",
)
def one_in_use(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = [each for each in toolkits(host) if isinstance(each, tuple)]
    if not found:
        yield from (each for each in toolkits(host) if isinstance(each, Judgement))
        return
    used = sorted((toolkit for toolkit, _ in found if toolkit.in_use), key=lambda toolkit: Version(toolkit.version))
    if len({toolkit.version for toolkit in used}) > 1:
        listed = ", ".join(map(named, used))
        fix = f"point /usr/local/cuda, CUDA_HOME and PATH to {used[-1].path}"
        yield warned("CUDA toolkits", f"in use at once: {listed}", fix)
    else:
        yield passed("CUDA toolkits", f"in use: {named(used[0])}" if used else f"{len(found)} installed, none in use")


@rule(
    "toolkit.cuda-compat",
    area="toolkit",
    severity="fail",
    title="cuda-compat is newer than the driver, and made for it",
    why="A cuda-compat library that is older than the driver breaks CUDA (error 803); on GeForce it never works (804).",
    source="compat.yaml: forward_compat",
)
def cuda_compat(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)
    if not host.libraries.known:
        yield missing("cuda-compat", host.libraries, "which libraries are installed")
        return
    found = [library for library in host.libraries.value or () if library.name == "cuda-compat"]
    if not found:
        yield skipped("cuda-compat", "it is not installed")
    for library in found:
        yield _compat(host, known, library, driver)


def _compat(host: HostRecord, known: Knowledge, library: Library, driver: Version | None) -> Judgement:
    subject = f"cuda-compat in {library.path}"
    theirs = version(library.version)
    if driver is None:
        return skipped(subject, NO_ANSWER)
    if theirs is None:
        return undetermined(subject, f"its version {library.version!r} is no number")
    directory = library.path.rpartition("/")[0]
    used = [
        each.where for each in host.settings.value or () if each.name == "LD_LIBRARY_PATH" and directory in each.value
    ]
    where = f"in LD_LIBRARY_PATH of {', '.join(used)}" if used else "in no LD_LIBRARY_PATH that was seen"
    table = known.tables.forward_compat
    certain = bool(used) and table.certain
    geforce = [gpu.name.value for gpu in host.gpus if gpu.name.value and "GeForce" in gpu.name.value]
    if theirs <= driver:
        evidence = f"its libcuda {theirs} is not newer than driver {driver}; {where}"
        return failed(subject, evidence, "remove the cuda-compat package", certain)
    if geforce:
        evidence = f"{geforce[0]} has no forward compatibility; {where}"
        return failed(subject, evidence, "remove the cuda-compat package", certain)
    columns = [Version(each).major for each in table.driver_columns]
    native = next(
        (cuda for branch, cuda in table.driver_native_cuda.items() if Version(branch).major == theirs.major), None
    )
    row = table.rows.get(f"cuda-compat-{native.major}-{native.minor}") if native else None
    if row is None:
        return undetermined(
            subject, f"libcuda {theirs} is of no branch in NVIDIA's table of {known.tables.collected}; {where}"
        )
    if driver.major not in columns or row[columns.index(driver.major)] == "X":
        evidence = f"libcuda {theirs} over driver {driver} is not a pair that NVIDIA supports; {where}"
        return failed(subject, evidence, driver_upgrade(known, host, theirs), certain)
    return passed(subject, f"libcuda {theirs} over driver {driver} is supported")
