"""cuDNN: whether each copy is for the CUDA major, the GPUs and the driver here, and is the one that PyTorch expects."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import compute_capabilities, driver_of, driver_upgrade, published, torch_build, torch_release
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.rules.torch import named as torch_named
from wxops.audit.rules.torch import where
from wxops.audit.software import Library
from wxops.audit.subjects import NO_ANSWER, missing
from wxops.audit.tables import Cudnn, CudnnCuda
from wxops.audit.versions import Version, version


def copies(host: HostRecord) -> Iterator[tuple[Library, Version] | Judgement]:
    """Each copy of cuDNN with its version, or what is to be said instead."""
    if not host.libraries.known:
        yield missing("cuDNN", host.libraries, "which libraries are installed")
        return
    found = [library for library in host.libraries.value or () if library.name == "cudnn"]
    if not found:
        yield skipped("cuDNN", "there is none on this host")
    for library in found:
        number = version(library.version)
        yield (library, number) if number else undetermined(library.path, f"version {library.version!r} is no number")


def named(library: Library) -> str:
    return f"cuDNN {library.version} of {'the system' if library.owner == 'system' else library.owner}"


def rows_for(known: Knowledge, cudnn: Version) -> tuple[list[Cudnn], bool]:
    """The release's row, else those of the releases before and after it, and whether it is its own and verified."""
    release = Version(cudnn.first(3))
    exact = [row for row in known.tables.cudnn if release in (row.version, *row.also)]
    if exact:
        return exact, all(row.certain for row in exact)
    before = max((row for row in known.tables.cudnn if row.version < cudnn), key=lambda row: row.version, default=None)
    after = min((row for row in known.tables.cudnn if row.version > cudnn), key=lambda row: row.version, default=None)
    return [row for row in (before, after) if row], False


def supports(needs: CudnnCuda, cc: Version) -> bool:
    return cc in needs.cc or (needs.cc_min is not None and cc >= needs.cc_min)


@rule(
    "cudnn.supports-cuda",
    area="cudnn",
    severity="fail",
    title="Each cuDNN is a release that there is for its CUDA major",
    why="A cuDNN of another CUDA major does not load, or loads a second CUDA runtime into the program.",
    source="compat.yaml: cudnn (support matrices), cudnn.first_cuda13",
)
def supports_cuda(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in copies(host):
        if isinstance(each, Judgement):
            yield each
            continue
        library, cudnn = each
        rows, exact = rows_for(known, cudnn)
        majors = sorted({needs.major for row in rows for needs in row.cuda})
        first = known.tables.first_cudnn_of_cuda13
        if not library.cuda_major:
            yield skipped(named(library), "its file does not say for which CUDA it was built")
        elif library.cuda_major == 13 and cudnn < first.version:
            evidence = f"built for CUDA 13, which cuDNN has since {first.version}"
            fix = f"install cuDNN {first.version} or later for CUDA 13"
            yield failed(named(library), evidence, fix, first.certain)
        elif library.cuda_major in majors or library.cuda_major == 13:
            yield passed(
                named(library),
                f"CUDA {library.cuda_major}, by the row of {', '.join(str(row.version) for row in rows)}",
            )
        else:
            evidence = f"built for CUDA {library.cuda_major}; this release is for CUDA {', '.join(map(str, majors))}"
            fix = f"install the newest cuDNN for CUDA {library.cuda_major} that NVIDIA lists"
            yield failed(named(library), evidence, fix, exact)


@rule(
    "cudnn.supports-gpu",
    area="cudnn",
    severity="fail",
    title="Each cuDNN supports the host's GPUs",
    why="cuDNN after 9.10 has no code for Maxwell, Pascal and Volta; old ones have none for new GPUs.",
    source="compat.yaml: cudnn (support matrices), cudnn.pre_turing_last",
)
def supports_gpu(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for each in copies(host):
        if isinstance(each, Judgement):
            yield each
            continue
        library, cudnn = each
        ccs = compute_capabilities(host)
        if not ccs:
            yield skipped(named(library), "no GPU is known that it could be for")
        yield from (_for_gpu(known, library, cudnn, cc) for cc in ccs)


def _for_gpu(known: Knowledge, library: Library, cudnn: Version, cc: Version) -> Judgement:
    rows, exact = rows_for(known, cudnn)
    needs = [needs for row in rows for needs in row.cuda if library.cuda_major in (0, needs.major)]
    if any(supports(each, cc) for each in needs):
        return passed(named(library), f"supports compute capability {cc}")
    if not needs:
        return skipped(named(library), f"it is not known for CUDA {library.cuda_major}, see cudnn.supports-cuda")
    family = [each for each in needs if any(have.major == cc.major and have <= cc for have in each.cc)]
    if family:
        return passed(named(library), f"supports the family of compute capability {cc}")
    evidence = f"by the row of {', '.join(str(row.version) for row in rows)} it has nothing for compute capability {cc}"
    if cc < Version("7.5"):
        return failed(named(library), evidence, "install cuDNN 9.10.2 for CUDA 12, the last for this GPU", exact)
    return failed(named(library), evidence, "install a newer cuDNN (9.17.0 supports up to 12.0)", exact)


@rule(
    "cudnn.driver-runs",
    area="cudnn",
    severity="fail",
    title="The driver is new enough for each cuDNN",
    why="cuDNN's support matrix names an oldest driver for each CUDA major and GPU.",
    source="compat.yaml: cudnn (support matrices)",
)
def driver_runs(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)
    for each in copies(host):
        if isinstance(each, Judgement):
            yield each
            continue
        library, cudnn = each
        rows, exact = rows_for(known, cudnn)
        least = [
            min((needs.min_driver for needs in fitting), default=None)
            for cc in compute_capabilities(host)
            if (fitting := [n for row in rows for n in row.cuda if n.major == library.cuda_major and supports(n, cc)])
        ]
        floor = max((found for found in least if found), default=None)
        if driver is None:
            yield skipped(named(library), NO_ANSWER)
        elif floor is None:
            yield skipped(named(library), "no row for its CUDA major and these GPUs, see cudnn.supports-gpu")
        elif driver < floor:
            yield failed(
                named(library), f"driver {driver}, it needs {floor} or later", driver_upgrade(known, host, floor), exact
            )
        else:
            yield passed(named(library), f"driver {driver}, it needs {floor} or later")


@rule(
    "cudnn.of-torch-cuda",
    area="cudnn",
    severity="fail",
    title="The cuDNN of a PyTorch is of that PyTorch's CUDA major",
    why="nvidia-cudnn-cu12 and -cu13 put their files in one place; whichever came last is loaded.",
    source="NVIDIA/cudnn-frontend#155; pytorch/pytorch RELEASE.md, PyTorch CUDA Support Matrix",
)
def of_torch_cuda(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for torch in host.torches.value or ():
        subject = f"cuDNN of {torch_named(torch)}"
        cuda = version(torch.cuda)
        own = [each for each in host.libraries.value or () if each.name == "cudnn" and each.owner == torch.path]
        own = own if torch.place == "host" else []  # a container's path is none of the host's
        if cuda is None or not own:
            yield skipped(subject, "it has no cuDNN of its own" if cuda else "it is no CUDA build")
            continue
        majors = sorted({each.cuda_major for each in own if each.cuda_major})
        wrong = [major for major in majors if major != cuda.major]
        if wrong:
            build = torch_build(known, Version(torch.version), cuda)
            pin = f"=={build.cudnn}" if build and build.cudnn else ""
            yield failed(
                subject,
                f"built for CUDA {', '.join(map(str, wrong))}, PyTorch for CUDA {torch.cuda}",
                f"in {where(torch)}: pip uninstall nvidia-cudnn-cu{wrong[0]}, then "
                f"pip install --force-reinstall nvidia-cudnn-cu{cuda.major}{pin}",
            )
        elif majors:
            yield passed(subject, f"built for CUDA {cuda.major}")
        else:
            yield skipped(subject, "its file does not say for which CUDA it was built")
    if not host.torches.known:
        yield missing("cuDNN of PyTorch", host.torches, "which PyTorch are installed")
    elif not host.torches.value:
        yield skipped("cuDNN of PyTorch", "there is no PyTorch on this host")


@rule(
    "cudnn.as-built",
    area="cudnn",
    severity="fail",
    title="PyTorch loads the cuDNN that it was built with",
    why="PyTorch refuses a cuDNN of another major or an older minor than it was built with; a newer one is not tested.",
    source="compat.yaml: pytorch (release matrix); pytorch/pytorch torch/backends/cudnn/__init__.py",
)
def as_built(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    for torch in host.torches.value or ():
        subject = f"cuDNN of {torch_named(torch)}"
        number, cuda, loads = version(torch.version), version(torch.cuda), version(torch.cudnn)
        build = torch_build(known, number, cuda) if number and cuda else None
        if cuda is None:
            yield skipped(subject, "it is no CUDA build")
        elif build is None or build.cudnn is None or not number or not published(number):
            yield skipped(subject, "the table does not say with which it was built")
        elif loads is None:
            yield undetermined(subject, "which cuDNN it loads could not be read")
        elif loads.first(3) == build.cudnn.first(3):
            yield passed(subject, f"{loads}, as built")
        else:
            evidence = f"loads {loads}, built with {build.cudnn}"
            fix = f"in {where(torch)}: pip install nvidia-cudnn-cu{cuda.major}=={build.cudnn}"
            refused = loads.major != build.cudnn.major or loads.minor < build.cudnn.minor
            release = torch_release(known, number)
            yield failed(subject, evidence, fix, certain=refused and release is not None and release.certain)
    if not host.torches.known:
        yield missing("cuDNN of PyTorch", host.torches, "which PyTorch are installed")
    elif not host.torches.value:
        yield skipped("cuDNN of PyTorch", "there is no PyTorch on this host")


@rule(
    "cudnn.one-copy",
    area="cudnn",
    severity="warn",
    title="The system has one cuDNN for a CUDA major",
    why="With several, the linker's order decides which one a program loads.",
    source="NVIDIA cuDNN installation guide for Linux",
)
def one_copy(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = [each for each in copies(host) if isinstance(each, tuple) and each[0].owner == "system"]
    if not found:
        said = [each for each in copies(host) if isinstance(each, Judgement)]
        yield said[0] if said else skipped("cuDNN of the system", "there is none")
        return
    for major in sorted({library.cuda_major for library, _ in found}):
        versions = {number.first(3): (library, number) for library, number in found if library.cuda_major == major}
        subject = f"cuDNN of the system{f' for CUDA {major}' if major else ''}"
        if len(versions) > 1:
            newest = max(versions.values(), key=lambda pair: pair[1])[0]
            listed = ", ".join(f"{library.version} ({library.path})" for library, _ in versions.values())
            yield warned(subject, listed, f"keep {newest.version} and remove the others, then run ldconfig")
        else:
            yield passed(subject, f"{found[0][0].version}")
