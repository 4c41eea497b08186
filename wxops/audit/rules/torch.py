"""PyTorch: whether each build runs on this driver, has code for these GPUs, and is one that PyTorch publishes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import (
    build_for,
    compute_capabilities,
    cuda_floor,
    driver_cuda,
    driver_of,
    driver_upgrade,
    published,
    released_with,
    runs_machine_code,
    torch_build,
    torch_code,
    torch_release,
)
from wxops.audit.reading import unknown
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.software import Torch
from wxops.audit.subjects import NO_ANSWER, missing, nvidia_cards
from wxops.audit.versions import Version, version

ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
TOLERANCE = 1e-2  # relative; cuDNN convolutions use TF32 unless told otherwise, which keeps 10 bits of the fraction


def torches(host: HostRecord, cuda_only: bool = True) -> Iterator[tuple[Torch, Version] | Judgement]:
    """Each PyTorch with its version, or what is to be said instead."""
    if not host.torches.known:
        yield missing("PyTorch", host.torches, "where it is installed")
    elif not host.torches.value:
        yield skipped("PyTorch", "there is none on this host")
    for torch in host.torches.value or ():
        number = version(torch.version)
        if number is None:
            yield undetermined(named(torch), f"version {torch.version!r} is no number")
        elif cuda_only and not torch.cuda:
            yield skipped(named(torch), "it is no CUDA build")
        elif torch.cuda and version(torch.cuda) is None:
            yield undetermined(named(torch), f"the CUDA of its build, {torch.cuda!r}, is no number")
        else:
            yield torch, number


def where(torch: Torch) -> str:
    """Where a change is to be made: in an environment, or in what an image is built from."""
    if torch.place == "host":
        return torch.path
    return f"{torch.place} ({torch.path})" if torch.path else torch.place


def named(torch: Torch) -> str:
    path = f" in {torch.path}" if torch.path else ""
    return f"PyTorch {torch.version}{path}" + ("" if torch.place == "host" else f" of {torch.place}")


@rule(
    "torch.driver-runs",
    area="torch",
    severity="fail",
    title="The driver runs the CUDA major that PyTorch was built with",
    why="Wheels bring their CUDA libraries, not the driver: with an older one torch.cuda is not available.",
    source="compat.yaml: cuda_minor_version_compat, pytorch",
)
def driver_runs(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)
    for each in torches(host):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, _ = each
        floor = cuda_floor(known, Version(torch.cuda))
        if driver is None:
            yield skipped(named(torch), NO_ANSWER)
        elif floor is None:
            yield undetermined(named(torch), f"CUDA {torch.cuda} is not in the table of {known.tables.collected}")
        elif driver < floor.min_driver_linux:
            evidence = f"driver {driver}, CUDA {torch.cuda} needs {floor.min_driver_linux} or later"
            yield failed(named(torch), evidence, driver_upgrade(known, host, floor.min_driver_linux), floor.certain)
        else:
            yield passed(named(torch), f"driver {driver}, CUDA {torch.cuda} needs {floor.min_driver_linux} or later")


@rule(
    "torch.has-gpu-code",
    area="torch",
    severity="fail",
    title="PyTorch has code for each of the host's GPUs",
    why="Without machine code of the GPU's family, or PTX that the driver can compile, programs end with 'no kernel "
    "image is available for execution on the device'.",
    source="compat.yaml: pytorch.arch_lists; pytorch/pytorch#157517",
)
def has_gpu_code(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, number = each
        code = _code(known, host, torch, number)
        ccs = compute_capabilities(host)
        if not ccs:
            yield skipped(named(torch), "no GPU is known that it could have code for")
        elif code is None:
            yield undetermined(named(torch), "its list of architectures could not be read, and no table has it")
        else:
            yield from (_runs_on(host, known, torch, number, cc, code) for cc in ccs)


Code = tuple[list[tuple[Version, bool]], list[Version], bool]


def _code(known: Knowledge, host: HostRecord, torch: Torch, number: Version) -> Code | None:
    """Machine code (for one GPU alone or its family), PTX, and whether that is certain: as recorded, else by table."""
    if torch.architectures.known and torch.architectures.value:
        found = [match for text in torch.architectures.value if (match := ARCHITECTURE.fullmatch(text))]
        sass = [(Version(f"{m[2]}.{m[3]}"), bool(m[4])) for m in found if m[1] == "sm"]
        return sass, [Version(f"{m[2]}.{m[3]}") for m in found if m[1] == "compute"], True
    row = torch_code(known, number, Version(torch.cuda), host.system.architecture)
    return ([(cc, False) for cc in row.sass], [row.ptx] if row.ptx else [], row.certain) if row else None


def _runs_on(host: HostRecord, known: Knowledge, torch: Torch, number: Version, cc: Version, code: Code) -> Judgement:
    sass, ptx, certain = code
    built = ", ".join(["sm_" + have.first(2).replace(".", "") for have, _ in sass])
    if any(cc == have if alone else runs_machine_code(have, cc) for have, alone in sass):
        return passed(named(torch), f"has machine code for compute capability {cc}")
    knows, cuda = driver_cuda(host), Version(torch.cuda)
    usable = [each for each in ptx if each <= cc]
    if usable and knows and knows >= cuda:
        return passed(named(torch), f"PTX of {usable[-1]} is compiled for compute capability {cc} at start")
    trap = f", and PTX of CUDA {cuda} does not compile on a driver of CUDA {knows}" if usable else ""
    evidence = f"code for {built or 'no GPU'}: nothing for compute capability {cc}{trap}"
    better = build_for(known, number, compute_capabilities(host), driver_of(host), host.system.architecture)
    if better is None:
        newer = released_with(known, cuda) if usable else None
        fix = f"no published PyTorch has code for compute capability {cc}: use another GPU"
        return failed(named(torch), evidence, driver_upgrade(known, host, newer) if newer else fix, certain)
    release, build = better
    wanted = number.first(3) if number.starts_with(release.torch) else f"{release.torch}.*"
    index = f"https://download.pytorch.org/whl/cu{build.cuda.major}{build.cuda.minor}"
    fix = f"in {where(torch)}: pip install 'torch=={wanted}' --index-url {index}"
    return failed(named(torch), evidence, fix, certain)


@rule(
    "torch.not-cpu-build",
    area="torch",
    severity="warn",
    title="A host with GPUs has no PyTorch without CUDA",
    why="pip installs the CPU build when its index says so; torch.cuda.is_available() is then false without an error.",
    source="https://pytorch.org/get-started/locally/",
)
def not_cpu_build(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host, cuda_only=False):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, number = each
        if not nvidia_cards(host) and not host.gpus:
            yield skipped(named(torch), "this host has no NVIDIA GPU")
        elif torch.cuda:
            yield passed(named(torch), f"built for CUDA {torch.cuda}")
        else:
            kind = f"built for ROCm {torch.hip}" if torch.hip else "a CPU build"
            fix = f"in {where(torch)}: pip install --force-reinstall torch=={number.first(3)} from a CUDA build's index"
            yield warned(named(torch), f"{kind} on a host with NVIDIA GPUs", fix)


@rule(
    "torch.python",
    area="torch",
    severity="fail",
    title="PyTorch supports the Python that it is installed for",
    why="PyTorch is built and tested for a range of Python releases; outside it torch.compile is the first to break.",
    source="compat.yaml: pytorch (release compatibility matrix)",
)
def python(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host, cuda_only=False):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, number = each
        release, have = torch_release(known, number), version(torch.python)
        if release is None or release.python is None:
            yield skipped(named(torch), f"the table does not say which Python {number.first(2)} supports")
        elif have is None:
            yield undetermined(named(torch), "which Python it is for could not be read")
        else:
            low, high = release.python
            minor = Version(have.first(2))
            if low <= minor <= high:
                yield passed(named(torch), f"Python {have}, supported are {low} to {high}")
            else:
                near = low if minor < low else high
                evidence = f"Python {have}, supported are {low} to {high}"
                experimental = release.python_experimental == minor
                yield failed(
                    named(torch),
                    evidence + (", this one as an experiment" if experimental else ""),
                    f"make its environment with Python {near}",
                    release.certain and not experimental,
                )


@rule(
    "torch.published-build",
    area="torch",
    severity="warn",
    title="PyTorch is a build that its project publishes",
    why="Builds of others are not in any table: what they were built with, and for which GPUs, is theirs to say.",
    source="compat.yaml: pytorch (release compatibility matrix)",
)
def published_build(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, number = each
        release = torch_release(known, number)
        if ".nv" in number.text:
            yield skipped(named(torch), "a build of NVIDIA's (NGC), which brings all that it was built with")
        elif release is None:
            newest = max(row.torch for row in known.tables.torch)
            if number > newest:
                yield undetermined(named(torch), f"newer than the table of {known.tables.collected}")
            else:
                yield warned(named(torch), "older than any release of the table", f"install torch {newest}")
        elif torch_build(known, number, Version(torch.cuda)):
            yield passed(named(torch), f"{release.torch} is published for CUDA {torch.cuda}")
        else:
            builds = ", ".join(str(build.cuda) for build in release.builds)
            default = next((build.cuda for build in release.builds if build.pypi_default), release.builds[-1].cuda)
            fix = f"install torch {number.first(3)} for CUDA {default}"
            yield warned(named(torch), f"{release.torch} is published for CUDA {builds}, not {torch.cuda}", fix)


@rule(
    "torch.nccl",
    area="torch",
    severity="warn",
    title="PyTorch has the NCCL that it was built with",
    why="Work over several GPUs hangs or fails when NCCL was replaced; each build is tested with one.",
    source="compat.yaml: pytorch (release compatibility matrix)",
)
def nccl(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, number = each
        build, have = torch_build(known, number, Version(torch.cuda)), version(torch.nccl)
        if not published(number):
            yield skipped(named(torch), "it is no build of PyTorch's project, whose NCCL the table has")
        elif build is None or build.nccl is None:
            yield skipped(named(torch), "the table does not say with which NCCL it was built")
        elif have is None:
            yield undetermined(named(torch), "which NCCL it has could not be read")
        elif have == build.nccl:
            yield passed(named(torch), f"NCCL {have}, as built")
        else:
            fix = f"in {where(torch)}: pip install nvidia-nccl-cu{build.cuda.major}=={build.nccl}"
            yield warned(named(torch), f"NCCL {have}, built with {build.nccl}", fix)


@rule(
    "torch.computes",
    area="torch",
    severity="fail",
    title="PyTorch computes right on each GPU (--deep)",
    why="All versions may agree and a GPU still fail: a matrix product and a convolution are held against the CPU's.",
    source=f"relative tolerance {TOLERANCE:g}: pytorch/pytorch docs, Numerical accuracy (TF32 in convolutions)",
)
def computes(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in torches(host):
        if isinstance(each, Judgement):
            yield each
            continue
        torch, _ = each
        if not torch.deep.known and torch.deep.detail == unknown().detail:
            yield skipped(named(torch), "it is asked with --deep only")
        elif not torch.deep.known:
            yield missing(named(torch), torch.deep, "how it computes")
        else:
            yield from _sees(host, torch)
        for check in torch.deep.value or ():
            subject = f"{named(torch)} on {check.device}" if check.device else named(torch)
            worst = max(check.matmul_error, check.convolution_error)
            if check.error:
                yield failed(
                    subject, check.error, "mend what the other rules say of this PyTorch, then run --deep again"
                )
            elif worst > TOLERANCE:
                yield failed(
                    subject, f"off by {worst:.2g}, allowed is {TOLERANCE:g}", f"take {check.device} out of service"
                )
            else:
                yield passed(subject, f"off by {worst:.2g} at most, in {check.seconds:.1f} s")


def _sees(host: HostRecord, torch: Torch) -> Iterator[Judgement]:
    """What it was put to work on, against what the driver tells of: a GPU that it does not see was not judged."""
    seen, there = len(torch.deep.value or ()), len(host.gpus)
    if any(not check.device for check in torch.deep.value or ()):
        return  # it could not even be imported, which is told by itself
    if not there and not seen:
        yield skipped(named(torch), "this host has no NVIDIA GPU that answers")
    elif not seen:
        fix = "mend what the other rules say of driver and PyTorch, then run --deep again"
        yield failed(named(torch), f"it sees no GPU, the driver tells of {there}", fix)
    elif seen < there:
        fix = "look at MIG, CUDA_VISIBLE_DEVICES and the GPUs' compute modes"
        yield warned(named(torch), f"it sees {seen} of {there} GPUs", fix)
