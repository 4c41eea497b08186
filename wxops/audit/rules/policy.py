"""Policies: what a guide, a team or an engine asks for, component by component."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined
from wxops.audit.knowledge import Knowledge
from wxops.audit.policy import COMPONENTS, Policy, Requirement
from wxops.audit.questions import driver_cuda, driver_of, driver_upgrade, gpus_from, released_with
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord
from wxops.audit.rule import Rule
from wxops.audit.rules.torch import where
from wxops.audit.subjects import missing
from wxops.audit.versions import Version, version

# A thing that a requirement is about: its subject, its version as recorded, and the change that would mend it.
Fix = Callable[[Requirement], str]
Thing = tuple[str, str | None, Fix]
Found = Iterator[Thing | Judgement]


def judged(host: HostRecord, known: Knowledge, component: str, find: Callable[[], Found]) -> Iterator[Judgement]:
    """What each policy that asks for a component says of all that there is of it."""
    asking = [(policy, asked) for policy in known.policies if (asked := policy.of(component))]
    if not asking:
        yield skipped(component, "no policy asks for it")
    for policy, asked in asking:
        things = list(find())
        if not things and asked.needed:
            fix = f"install {COMPONENTS[component]}: {asked}"
            yield failed(component, f"{policy.name} needs it, and there is none", fix, asked.certain)
        elif not things:
            yield skipped(component, f"{policy.name} asks for {asked}; there is none here")
        for thing in things:
            yield thing if isinstance(thing, Judgement) else _one(policy, asked, *thing)


def _one(policy: Policy, asked: Requirement, subject: str, text: str | None, fix: Fix) -> Judgement:
    found = version(text)
    if found is None:
        return undetermined(subject, f"{policy.name} asks for {asked}, its version could not be read")
    evidence = f"{found}, {policy.name} asks for {asked}"
    if asked.met_by(found):
        return passed(subject, evidence)
    return failed(subject, f"{evidence}{f' ({asked.why})' if asked.why else ''}", fix(asked), asked.certain)


def change(what: str, place: str = "") -> Fix:
    """Install what is asked for; where it is too new, an older one. place: the environment that it is for."""
    return lambda asked: f"{f'in {place}: ' if place else ''}install {what} {asked}"


def wanted(asked: Requirement) -> Version | None:
    return asked.exactly or asked.at_least or (asked.one_of[0] if asked.one_of else None)


def drivers(host: HostRecord, known: Knowledge) -> Found:
    if driver := driver_of(host):
        yield "driver", driver.text, lambda asked: driver_upgrade(known, host, wanted(asked) or driver)
    elif host.nvidia:
        yield missing("driver", host.nvidia.driver_version, "its version")


def cuda(host: HostRecord, known: Knowledge) -> Found:
    def newer_driver(asked: Requirement) -> str:
        at_least = wanted(asked)
        driver = released_with(known, at_least) if at_least else None
        return driver_upgrade(known, host, driver) if driver else f"install a driver for CUDA {asked}"

    if found := driver_cuda(host):
        yield "CUDA of the driver", found.text, newer_driver
    yield from toolkits(host, known)
    for torch in host.torches.value or ():
        if torch.cuda:
            yield f"CUDA of PyTorch in {where(torch)}", torch.cuda, change("a PyTorch build for CUDA", where(torch))


def toolkits(host: HostRecord, known: Knowledge) -> Found:
    if not host.toolkits.known:
        yield missing("CUDA toolkits", host.toolkits, "what is installed")
    for toolkit in host.toolkits.value or ():
        if toolkit.in_use:
            yield f"CUDA toolkit in {toolkit.path}", toolkit.version, change("CUDA toolkit")


def cudnn(host: HostRecord, known: Knowledge) -> Found:
    if not host.libraries.known:
        yield missing("cuDNN", host.libraries, "which libraries are installed")
    for library in host.libraries.value or ():
        if library.name == "cudnn" and library.owner == "system":
            yield f"cuDNN in {library.path}", library.version, change("cuDNN")
    for torch in host.torches.value or ():
        if torch.cuda and torch.cudnn:
            yield f"cuDNN of PyTorch in {where(torch)}", torch.cudnn, change("a PyTorch with cuDNN", where(torch))


def of_torches(field: str) -> Callable[[HostRecord, Knowledge], Found]:
    def find(host: HostRecord, known: Knowledge) -> Found:
        if not host.torches.known:
            yield missing("PyTorch", host.torches, "where it is installed")
        for torch in host.torches.value or ():
            what = {"version": "PyTorch", "nccl": "NCCL of PyTorch", "python": "Python of PyTorch"}[field]
            if field != "nccl" or torch.cuda:
                yield f"{what} in {where(torch)}", getattr(torch, field), change(what.split()[0], where(torch))

    return find


def compute_capability(host: HostRecord, known: Knowledge) -> Found:
    def other(asked: Requirement) -> str:
        least = wanted(asked)
        return f"use a GPU of compute capability {asked}{gpus_from(known, least) if least else ''}"

    for gpu in host.gpus:
        reading: Reading[str] = gpu.compute_capability
        if gpu.lost:
            continue
        if not reading.known:
            yield missing(f"GPU {gpu.index}", reading, "its compute capability")
        else:
            name = gpu.name.value or "GPU"
            yield f"GPU {gpu.index} ({name})", reading.value, other


def container_toolkit(host: HostRecord, known: Knowledge) -> Found:
    if not host.runtime.known:
        yield missing("container toolkit", host.runtime, "what runs containers")
    elif host.runtime.value and host.runtime.value.toolkit:
        yield "container toolkit", host.runtime.value.toolkit, change("nvidia-container-toolkit")


def features(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    """Each feature that a policy asks for, on each kind of GPU."""
    asking = [(policy, asked) for policy in known.policies if (asked := policy.of("features"))]
    if not asking:
        yield skipped("features", "no policy asks for any")
    kinds = {(gpu.name.value or f"GPU {gpu.index}", gpu.compute_capability) for gpu in host.gpus if not gpu.lost}
    for policy, asked in asking:
        if not kinds:
            yield skipped("features", f"{policy.name} asks for {asked}; there is no GPU here")
        for name, reading in sorted(kinds, key=lambda kind: kind[0]):
            cc = version(reading.value)
            for row in known.tables.features:
                if row.feature not in asked.has:
                    continue
                if cc is None:
                    yield missing(name, reading, "its compute capability")
                elif cc >= row.min_cc:
                    yield passed(name, f"has {row.feature}, which {policy.name} asks for")
                else:
                    evidence = (
                        f"compute capability {cc}, {row.feature} starts with {row.min_cc}; {policy.name} asks for it"
                    )
                    fix = f"use a GPU of compute capability {row.min_cc} or later{gpus_from(known, row.min_cc)}"
                    yield failed(name, evidence, fix, row.certain and asked.certain)


FINDERS: dict[str, Callable[[HostRecord, Knowledge], Found]] = {
    "driver": drivers,
    "cuda": cuda,
    "toolkit": toolkits,
    "cudnn": cudnn,
    "torch": of_torches("version"),
    "nccl": of_torches("nccl"),
    "python": of_torches("python"),
    "compute_capability": compute_capability,
    "container_toolkit": container_toolkit,
}


def _rule_for(component: str) -> Rule:
    """The rule of a component: what policies ask of it."""
    find = FINDERS.get(component)

    def judge(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
        if find is None:
            yield from features(host, known)
        else:
            yield from judged(host, known, component, lambda: find(host, known))

    return Rule(
        id=f"policy.{component.replace('_', '-')}",
        area="policy",
        severity="fail",
        title=f"Policies: {COMPONENTS[component]}",
        why="A policy says what a guide, a team or an engine asks for; its file has reason and source.",
        source="the policy's file, --policy NAME|FILE",
        judge=judge,
    )


RULES = tuple(map(_rule_for, COMPONENTS))
