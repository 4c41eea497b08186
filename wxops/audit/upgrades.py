"""The changes that a plan may make of a host, and what its record would be after each: pure, nothing is touched.

A slot is one thing that is of one version at a time (the driver, a PyTorch); its upgrades exclude each other, and stand
in the order in which they are to be preferred.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wxops.audit.gpu import Gpu, Mode, NvidiaDriver
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import PREFERRED, compute_capabilities, driver_of, last_branch, safe_container_toolkit
from wxops.audit.reading import Reading, unknown
from wxops.audit.record import HostRecord, KernelModule
from wxops.audit.software import ContainerRuntime, Library, Toolkit, Torch
from wxops.audit.subjects import NVIDIA
from wxops.audit.tables import TorchBuild, TorchRelease
from wxops.audit.versions import Version, version
from wxops.errors import InputError

Apply = Callable[[HostRecord], HostRecord]
NEWEST_TORCHES = 2
ORDER = ("openssl", "driver", "fabric manager", "cuda-compat", "toolkit", "cudnn", "container toolkit", "CDI", "torch")
"""In which order upgrades are made: what others stand on comes first."""


@dataclass(frozen=True)
class Upgrade:
    """One change. component: of ORDER; before: "" where there was nothing; reboot: it takes effect after one."""

    component: str
    subject: str
    before: str
    after: str
    how: str
    apply: Apply
    reboot: bool = False


FOLLOWS = "the driver's version"


@dataclass(frozen=True)
class Slot:
    """wanted: one of the upgrades is to be made, whatever the rules say."""

    upgrades: tuple[Upgrade, ...]
    wanted: bool = False


def slots(host: HostRecord, known: Knowledge, targets: Mapping[str, str]) -> Iterator[Slot]:
    """The upgrades that the tables know for a host. targets: component -> the version that is wanted of it.

    Raises InputError for a target that they do not know.
    """
    used = next((toolkit for toolkit in host.toolkits.value or () if toolkit.in_use), None)
    copies = [each for each in host.libraries.value or () if each.name == "cudnn" and each.owner == "system"]
    torches = host.torches.value or ((Torch("host", "a new environment", ""),) if "torch" in targets else ())
    yield Slot(tuple(_openssl(host)))
    driver = _open(targets, "driver", str(driver_of(host) or ""))
    yield _slot(host, targets, "driver", driver, _drivers(host, known, driver))
    yield Slot(tuple(_fabric_manager(host)))
    yield Slot(tuple(_without_compat(host)))
    if used or "cuda" in targets:
        cuda = _open(targets, "cuda", used.version if used else "")
        yield _slot(host, targets, "cuda", cuda, _toolkits(used or Toolkit("", ""), known, cuda))
    if copies or "cudnn" in targets:
        cudnn = _open(targets, "cudnn", copies[0].version if copies else "")
        yield _slot(host, targets, "cudnn", cudnn, _cudnn(host, known, copies, cudnn))
    yield Slot(tuple(_container_toolkit(host, known)))
    yield Slot(tuple(_cdi(host)))
    for torch in torches:
        release = _open(targets, "torch", torch.version)
        yield _slot(host, targets, "torch", release, _torches(known, torch, release))


def _open(targets: Mapping[str, str], name: str, now: str) -> str | None:
    """The version that is wanted, unless the host has it."""
    target, there = targets.get(name), version(now)
    return None if target is None or (there and there.starts_with(Version(target))) else target


def _slot(
    host: HostRecord, targets: Mapping[str, str], name: str, target: str | None, found: Iterable[Upgrade]
) -> Slot:
    """target: what is wanted and is not there. What is wanted and there may change its build, not its version."""
    upgrades, named = tuple(found), targets.get(name)
    if named is not None and target is None:
        upgrades = tuple(each for each in upgrades if Version(each.after).starts_with(Version(named)))
    if target is not None and not upgrades:
        raise InputError(f"{name}={target}: the tables know no such release for this host", where=host.host)
    return Slot(upgrades, wanted=target is not None)


# What a host stands on


def _openssl(host: HostRecord) -> Iterator[Upgrade]:
    found = host.openssl.value
    old = [package for package in found.packages if _behind(package.version, package.candidate)] if found else []
    waiting = found.restart_needed.value or () if found else ()
    if found and (old or waiting):
        packages = tuple(replace(package, version=package.candidate or package.version) for package in found.packages)
        fixed = replace(found, restart_needed=Reading(()), packages=packages)
        names = " ".join(package.name for package in old)
        how = f"install the security updates of {names}, " if old else ""
        yield Upgrade("openssl", "OpenSSL", old[0].version if old else found.version,
                      old[0].candidate if old else "processes restarted",
                      f"{how}restart {', '.join(waiting) or 'what uses it'}",
                      lambda host: replace(host, openssl=Reading(fixed)))  # fmt: skip


def _behind(installed: str, candidate: str) -> bool:
    return bool(candidate) and candidate != installed


def _drivers(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[Upgrade]:
    """A reboot alone, where one is due; the newest of each branch that is kept up and knows the GPUs."""
    if not (host.nvidia or host.nvidia_module or host.pci_of(NVIDIA)):
        return
    now, limit = driver_of(host), last_branch(known, compute_capabilities(host))
    dropped = now is not None and limit is not None and now.major > limit[0].major  # then back is the way
    if target is None and host.nvidia is not None:
        yield _reboot(host.nvidia.library_version or str(now or ""))
    for found, why in _driver_versions(host, known, target):
        if target is not None or now is None or found > now or dropped:
            how = f'nvidia_driver_version: "{found}" in group_vars and `wxops provision` ({why})'
            apply = functools.partial(_with_driver, known, str(found))
            yield Upgrade("driver", "driver", str(now or ""), str(found), how, apply, reboot=True)


def _reboot(driver: str) -> Upgrade:
    def reboot(host: HostRecord) -> HostRecord:
        return _running(_rebooted(host), driver)

    return Upgrade("driver", "driver", driver, driver, "reboot, so that what is pending is done", reboot, reboot=True)


def _driver_versions(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[tuple[Version, str]]:
    """Long-lived branches first."""
    limit = last_branch(known, compute_capabilities(host))
    rows = sorted(known.tables.driver_branches, key=lambda row: PREFERRED.index(row.kind))
    for row in rows:
        told = f"branch {row.branch} {row.kind}, alive until {row.eol}"
        if target is not None:
            if Version(target).major == row.branch.major:
                exact = Version(target)
                yield (exact if exact.written > 1 else row.latest_seen or row.branch), told
        elif row.ends >= known.today and row.latest_seen and (limit is None or row.branch <= limit[0]):
            yield row.latest_seen, told


def _with_driver(known: Knowledge, driver: str, host: HostRecord) -> HostRecord:
    found = Version(driver)
    native = known.tables.forward_compat.driver_native_cuda
    cuda = native.get(str(found.major)) or max(
        (row.cuda for row in known.tables.bundled_drivers if row.driver and row.driver <= found), default=None
    )
    before = host.nvidia or NvidiaDriver("libnvidia-ml.so.1")
    nvidia = replace(before, driver_version=Reading(driver), cuda_version=Reading(str(cuda)) if cuda else Reading(),
                     library_version=driver, error="")  # fmt: skip
    return _running(_rebooted(replace(host, nvidia=nvidia, nouveau_loaded=False)), driver)


def _running(host: HostRecord, driver: str) -> HostRecord:
    """With the driver's own module and GSP firmware loaded, which its libraries match."""
    if not driver or host.nvidia is None:
        return host
    module = replace(host.nvidia_module or KernelModule(driver, open=True), version=driver)
    gpus = tuple(replace(gpu, gsp_firmware=Reading(driver)) if gpu.gsp_firmware.known else gpu for gpu in host.gpus)
    nvidia = replace(host.nvidia, driver_version=Reading(driver), error="")
    return _with_gpus(replace(host, nvidia=nvidia, nvidia_module=module), gpus)


def _rebooted(host: HostRecord) -> HostRecord:
    """What waits for a reset is done by a reboot: modes that are pending, rows to be remapped, repairs; counts begin
    anew, and no program runs with an OpenSSL that was replaced."""
    if found := host.openssl.value:
        host = replace(host, openssl=Reading(replace(found, restart_needed=Reading(()))))
    return _with_gpus(host, tuple(map(_reset, host.gpus)))


MENDED_BY_REBOOT = ("gpu_reset", "node_reboot", "system_reboot", "drain_and_reset", "bus_reset")


def _reset(gpu: Gpu) -> Gpu:
    rows, pages = gpu.remapped_rows.value, gpu.retired_pages.value
    return replace(
        gpu,
        ecc=_settled(gpu.ecc),
        mig=_settled(gpu.mig),
        remapped_rows=Reading(replace(rows, pending=False)) if rows else gpu.remapped_rows,
        retired_pages=Reading(replace(pages, pending=Reading(False))) if pages else gpu.retired_pages,
        ecc_uncorrected_volatile=Reading(0) if gpu.ecc_uncorrected_volatile.value else gpu.ecc_uncorrected_volatile,
        repair_pending=Reading(False) if gpu.repair_pending.known else gpu.repair_pending,
        recovery_action=Reading("none") if gpu.recovery_action.value in MENDED_BY_REBOOT else gpu.recovery_action,
    )


def _settled(mode: Reading[Mode]) -> Reading[Mode]:
    return Reading(Mode(mode.value.pending, mode.value.pending)) if mode.value else mode


def _with_gpus(host: HostRecord, gpus: tuple[Gpu, ...]) -> HostRecord:
    if host.nvidia is None or not host.nvidia.gpus.known:
        return host
    return replace(host, nvidia=replace(host.nvidia, gpus=Reading(gpus)))


def _fabric_manager(host: HostRecord) -> Iterator[Upgrade]:
    """It follows the driver, whatever version that is by then."""
    found = host.fabric_manager

    def follow(host: HostRecord) -> HostRecord:
        driver = driver_of(host)
        if host.fabric_manager is None or driver is None:
            return host
        return replace(host, fabric_manager=replace(host.fabric_manager, version=str(driver), active=True))

    if found is not None:
        yield Upgrade("fabric manager", "fabric manager", found.version, FOLLOWS,
                      "install nvidia-fabricmanager of the driver's very version, and start it", follow)  # fmt: skip


def _without_compat(host: HostRecord) -> Iterator[Upgrade]:
    copies = [library for library in host.libraries.value or () if library.name == "cuda-compat"]

    def remove(host: HostRecord) -> HostRecord:
        return _with_libraries(host, (each for each in host.libraries.value or () if each.name != "cuda-compat"))

    if copies:
        versions = ", ".join(library.version for library in copies)
        yield Upgrade("cuda-compat", "cuda-compat", versions, "removed", "remove the packages cuda-compat-*", remove)


def _with_libraries(host: HostRecord, libraries: Iterable[Library]) -> HostRecord:
    return replace(host, libraries=Reading(tuple(libraries)))


# CUDA, cuDNN, PyTorch


def _toolkits(used: Toolkit, known: Knowledge, target: str | None) -> Iterator[Upgrade]:
    """Releases of the toolkit, for the one that is in use; each minor release once, the newest first."""
    now = version(used.version)
    releases = {row.cuda.first(2): row.cuda for row in known.tables.bundled_drivers if row.certain}
    for found in [Version(target)] if target else releases.values():
        if target is None and now and found.first(2) == now.first(2):
            continue

        def install(host: HostRecord, found: Version = found) -> HostRecord:
            path = f"/usr/local/cuda-{found.first(2)}"
            kept = tuple(replace(each, in_use=False) for each in host.toolkits.value or ())
            return replace(host, toolkits=Reading((*kept, Toolkit(str(found), path, in_use=True))))

        how = f'nvidia_cuda_version: "{found}" in group_vars and `wxops provision`'
        yield Upgrade("toolkit", "CUDA toolkit", used.version, str(found), how, install)


def _cudnn(host: HostRecord, known: Knowledge, copies: list[Library], target: str | None) -> Iterator[Upgrade]:
    """Releases that the tables know, for the copies of the system's, the newest first."""
    used = version(next((toolkit.version for toolkit in host.toolkits.value or () if toolkit.in_use), ""))
    before = copies[0] if copies else Library("cudnn", "", "/usr/lib")
    major = used.major if used else before.cuda_major
    wanted = [Version(target)] if target else [row.version for row in known.tables.cudnn if row.certain]
    for found in wanted:

        def install(host: HostRecord, found: Version = found) -> HostRecord:
            others = [each for each in host.libraries.value or () if each not in copies]
            return _with_libraries(host, [*others, replace(before, version=str(found), cuda_major=major)])

        how = f'nvidia_cudnn_version: "{found}" in group_vars and `wxops provision`'
        yield Upgrade("cudnn", "cuDNN of the system", before.version, str(found), how, install)


def _torches(known: Knowledge, torch: Torch, target: str | None) -> Iterator[Upgrade]:
    """Builds of PyTorch for one environment: of the release that is wanted, else its own, then the newest ones.

    A build for the same CUDA comes first, then what pip installs by itself.
    """
    own = version(torch.version)
    if target is not None:
        rows = [row for row in known.tables.torch if Version(target).starts_with(row.torch)]
    else:
        certain = [row for row in known.tables.torch if row.certain]
        rows = [row for row in certain if own and own.starts_with(row.torch)] + certain[:NEWEST_TORCHES]
    for row in dict.fromkeys(rows):
        release = _release(row, own, target)
        for build in sorted(row.builds, key=lambda build: (build.cuda != version(torch.cuda), not build.pypi_default)):
            cuda = build.cuda.first(2)
            found = replace(torch, version=f"{release}+cu{cuda.replace('.', '')}", cuda=cuda, hip="",
                            python=torch.python or (str(row.python[1]) if row.python else ""),
                            cudnn=str(build.cudnn or ""), nccl=str(build.nccl or ""),
                            architectures=unknown("it is not installed yet"))  # fmt: skip
            if (own.first(3) if own else "", torch.cuda) != (release, cuda):
                yield _torch(torch, found, build)


def _release(row: TorchRelease, own: Version | None, target: str | None) -> str:
    """Its three numbers: those that are wanted or there, else the first of the release."""
    exact = [each for each in (version(target), own) if each and each.written > 2 and each.starts_with(row.torch)]
    return exact[0].first(3) if exact else row.torch.first(3)


def _torch(torch: Torch, found: Torch, build: TorchBuild) -> Upgrade:
    def install(host: HostRecord) -> HostRecord:
        others = [each for each in host.torches.value or () if each != torch]
        return _with_own_libraries(replace(host, torches=Reading((*others, found))), found)

    where = f"{torch.path}" if torch.place == "host" else f"{torch.place}, {torch.path}"
    plain, _, tag = found.version.partition("+")
    index = "" if build.pypi_default else f" --index-url https://download.pytorch.org/whl/{tag}"
    how = f"pip install torch=={plain}{index}" if torch.place == "host" else f"rebuild {torch.place} with torch {plain}"
    how = f"in {torch.path}: {how}" if torch.place == "host" else how
    return Upgrade("torch", f"PyTorch in {where}", torch.version, found.version, how, install)


def _with_own_libraries(host: HostRecord, torch: Torch) -> HostRecord:
    """The libraries of its environment are those that the build brings along."""
    others = [each for each in host.libraries.value or () if each.owner != torch.path]
    major = int(torch.cuda.split(".")[0])
    brought = [Library(name, version, torch.path, major, torch.path)
               for name, version in (("cudnn", torch.cudnn), ("nccl", torch.nccl)) if version]  # fmt: skip
    return _with_libraries(host, [*others, *brought])


# Containers


def _container_toolkit(host: HostRecord, known: Knowledge) -> Iterator[Upgrade]:
    found = safe_container_toolkit(known)
    if found is None:
        return
    safe = found[0]

    def install(host: HostRecord) -> HostRecord:
        return _with_runtime(host, toolkit=str(safe), nvidia_runtime=True)

    runtime = host.runtime.value
    now = version(runtime.toolkit) if runtime else None
    if runtime and (now is None or now < safe or not runtime.nvidia_runtime):
        how = "nvidia_container_toolkit_version in group_vars (its default will do) and `wxops provision`"
        after = f"{safe} or later"
        yield Upgrade("container toolkit", "NVIDIA container toolkit", runtime.toolkit, after, how, install)


def _cdi(host: HostRecord) -> Iterator[Upgrade]:
    """CDI specifications name the driver's files, so they are written anew after each upgrade of it."""

    def write(host: HostRecord) -> HostRecord:
        driver, runtime = driver_of(host), host.runtime.value
        if runtime is None or driver is None:
            return host
        return _with_runtime(host, cdi=tuple(replace(spec, driver_version=str(driver)) for spec in runtime.cdi))

    specs = host.runtime.value.cdi if host.runtime.value else ()
    if any("nvidia" in spec.kind for spec in specs):
        before = ", ".join(dict.fromkeys(spec.driver_version for spec in specs))
        how = f"nvidia-ctk cdi generate --output={specs[0].path}"
        yield Upgrade("CDI", "CDI specification", before, FOLLOWS, how, write)


def _with_runtime(host: HostRecord, **changes: object) -> HostRecord:
    runtime: ContainerRuntime | None = host.runtime.value
    return host if runtime is None else replace(host, runtime=Reading(replace(runtime, **changes)))  # type: ignore[arg-type]
