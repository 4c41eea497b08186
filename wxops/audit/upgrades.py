"""The changes that a plan may make of a host, and what its record would be after each: pure, nothing is touched.

A slot is one thing that is of one version at a time (the driver, a PyTorch); its upgrades exclude each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import compute_capabilities, driver_of, last_branch
from wxops.audit.reading import Reading
from wxops.audit.record import ContainerRuntime, Gpu, HostRecord, KernelModule, Library, Mode, NvidiaDriver, Torch
from wxops.audit.subjects import NVIDIA
from wxops.audit.tables import TorchBuild
from wxops.audit.versions import Version, version

Apply = Callable[[HostRecord], HostRecord]
CONTAINER_TOOLKIT = "1.17.8"
"""The first release without CVE-2025-23266 (compat.yaml: container_toolkit)."""
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


Slot = tuple[Upgrade, ...]


def slots(host: HostRecord, known: Knowledge, targets: Mapping[str, str]) -> Iterator[Slot]:
    """The upgrades that the tables know for a host, by slot. targets: component -> the version that is wanted of it."""
    yield tuple(_openssl(host))
    yield tuple(_drivers(host, known, targets.get("driver")))
    yield tuple(_fabric_manager(host))
    yield tuple(_without_compat(host))
    yield tuple(_toolkits(host, known, targets.get("cuda")))
    yield tuple(_cudnn(host, known, targets.get("cudnn")))
    yield tuple(_container_toolkit(host))
    yield tuple(_cdi(host))
    for torch in host.torches.value or ():
        yield tuple(_torches(host, known, torch, targets.get("torch")))
    if "torch" in targets and not host.torches.value:
        yield tuple(_torches(host, known, Torch("host", "a new environment", ""), targets["torch"]))


# What a host stands on


def _openssl(host: HostRecord) -> Iterator[Upgrade]:
    found = host.openssl.value
    old = [package for package in found.packages if _behind(package.version, package.candidate)] if found else []
    if found and (old or found.restart_needed):
        packages = tuple(replace(package, version=package.candidate or package.version) for package in found.packages)
        fixed = replace(found, restart_needed=(), packages=packages)
        names = " ".join(package.name for package in old)
        how = f"install the security updates of {names}, " if old else ""
        yield Upgrade("openssl", "OpenSSL", old[0].version if old else found.version,
                      old[0].candidate if old else "processes restarted",
                      f"{how}restart {', '.join(found.restart_needed) or 'what uses it'}",
                      lambda host: replace(host, openssl=Reading(fixed)))  # fmt: skip


def _behind(installed: str, candidate: str) -> bool:
    return bool(candidate) and candidate != installed


def _drivers(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[Upgrade]:
    """A reboot alone, where one is due; the newest of each branch that is kept up and knows the GPUs."""
    if not (host.nvidia or host.nvidia_module or host.pci_of(NVIDIA)):
        return
    now = driver_of(host)
    if target is None:
        yield Upgrade("driver", "driver", str(now or ""), str(now or ""), "reboot, so that what is pending is done",
                      lambda host: _running(_rebooted(host), host.nvidia.library_version if host.nvidia else ""),
                      reboot=True)  # fmt: skip
    for found, why in _driver_versions(host, known, target):
        if target is not None or now is None or found > now:
            how = f'nvidia_driver_version: "{found}" in group_vars and `wxops provision`{f" ({why})" if why else ""}'
            yield Upgrade("driver", "driver", str(now or ""), str(found), how,
                          lambda host, found=found: _with_driver(host, known, found), reboot=True)  # type: ignore[misc]  # fmt: skip


def _driver_versions(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[tuple[Version, str]]:
    limit = last_branch(known, compute_capabilities(host))
    for row in known.tables.driver_branches:
        told = f"branch {row.branch} {row.kind}, alive until {row.eol}"
        if target is not None:
            if Version(target).major == row.branch.major:
                exact = Version(target)
                yield (exact if exact.written > 1 else row.latest_seen or row.branch), told
                return
        elif row.ends >= known.today and row.latest_seen and (limit is None or row.branch <= limit[0]):
            yield row.latest_seen, told
    if target is not None:
        yield Version(target), "a branch that the tables do not have"


def _with_driver(host: HostRecord, known: Knowledge, found: Version) -> HostRecord:
    native = known.tables.forward_compat.driver_native_cuda
    cuda = native.get(str(found.major)) or max(
        (row.cuda for row in known.tables.bundled_drivers if row.driver and row.driver <= found), default=None
    )
    before = host.nvidia or NvidiaDriver("libnvidia-ml.so.1")
    nvidia = replace(before, driver_version=Reading(str(found)), cuda_version=Reading(str(cuda)) if cuda else Reading(),
                     library_version=str(found), error="")  # fmt: skip
    return _running(_rebooted(replace(host, nvidia=nvidia, nouveau_loaded=False)), str(found))


def _running(host: HostRecord, driver: str) -> HostRecord:
    """With the driver's own module and GSP firmware loaded, which its libraries match."""
    if not driver or host.nvidia is None:
        return host
    module = replace(host.nvidia_module or KernelModule(driver, open=True), version=driver)
    gpus = tuple(replace(gpu, gsp_firmware=Reading(driver)) if gpu.gsp_firmware.known else gpu for gpu in host.gpus)
    nvidia = replace(host.nvidia, driver_version=Reading(driver), error="")
    return _with_gpus(replace(host, nvidia=nvidia, nvidia_module=module), gpus)


def _rebooted(host: HostRecord) -> HostRecord:
    """What waits for a reset is done by a reboot: modes that are pending, rows to be remapped, repairs."""
    return _with_gpus(host, tuple(map(_reset, host.gpus)))


def _reset(gpu: Gpu) -> Gpu:
    rows, pages = gpu.remapped_rows.value, gpu.retired_pages.value
    return replace(
        gpu,
        ecc=_settled(gpu.ecc),
        mig=_settled(gpu.mig),
        remapped_rows=Reading(replace(rows, pending=False)) if rows else gpu.remapped_rows,
        retired_pages=Reading(replace(pages, pending=Reading(False))) if pages else gpu.retired_pages,
        repair_pending=Reading(False) if gpu.repair_pending.known else gpu.repair_pending,
        recovery_action=Reading("none")
        if gpu.recovery_action.value in ("gpu_reset", "node_reboot")
        else gpu.recovery_action,
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
        yield Upgrade("fabric manager", "fabric manager", found.version, "the driver's version",
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


def _toolkits(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[Upgrade]:
    """Releases of the toolkit, for the one that is in use; each minor release once, the newest first."""
    used = next((toolkit for toolkit in host.toolkits.value or () if toolkit.in_use), None)
    if used is None:
        return
    releases = {row.cuda.first(2): row.cuda for row in known.tables.bundled_drivers if row.certain}
    wanted = [Version(target)] if target else list(releases.values())
    for found in wanted:
        if target is None and found.first(2) == Version(used.version).first(2):
            continue

        def install(host: HostRecord, found: Version = found) -> HostRecord:
            path = f"/usr/local/cuda-{found.first(2)}"
            kept = tuple(replace(each, in_use=False) for each in host.toolkits.value or ())
            return replace(host, toolkits=Reading((*kept, replace(used, version=str(found), path=path))))

        how = f'nvidia_cuda_version: "{found}" in group_vars and `wxops provision`'
        yield Upgrade("toolkit", "CUDA toolkit", used.version, str(found), how, install)


def _cudnn(host: HostRecord, known: Knowledge, target: str | None) -> Iterator[Upgrade]:
    """Releases that the tables know, for the copies of the system's."""
    copies = [each for each in host.libraries.value or () if each.name == "cudnn" and each.owner == "system"]
    majors = {toolkit.version.split(".")[0] for toolkit in host.toolkits.value or () if toolkit.in_use}
    if not copies:
        return
    wanted = [Version(target)] if target else [row.version for row in known.tables.cudnn if row.certain]
    for found in wanted:

        def install(host: HostRecord, found: Version = found) -> HostRecord:
            others = [each for each in host.libraries.value or () if each not in copies]
            major = int(next(iter(majors), 0)) or copies[0].cuda_major
            return _with_libraries(host, [*others, replace(copies[0], version=str(found), cuda_major=major)])

        if str(found) != copies[0].version:
            how = f'nvidia_cudnn_version: "{found}" in group_vars and `wxops provision`'
            yield Upgrade("cudnn", "cuDNN of the system", copies[0].version, str(found), how, install)


def _torches(host: HostRecord, known: Knowledge, torch: Torch, target: str | None) -> Iterator[Upgrade]:
    """Builds of PyTorch for one environment: of the release that is wanted, else its own and the newest ones."""
    own = version(torch.version)
    rows = [row for row in known.tables.torch if row.certain]
    if target is not None:
        rows = [row for row in known.tables.torch if Version(target).starts_with(row.torch)]
    else:
        rows = [row for row in rows if own and own.starts_with(row.torch)] + rows[:NEWEST_TORCHES]
    for row in dict.fromkeys(rows):
        release = target if target and Version(target).written > 2 else f"{row.torch}.0"
        if target is None and own and own.starts_with(row.torch):
            release = own.first(3)
        for build in row.builds:
            tag = f"cu{build.cuda.first(2).replace('.', '')}"
            found = replace(torch, version=f"{release}+{tag}", cuda=build.cuda.first(2), hip="",
                            cudnn=str(build.cudnn or ""), nccl=str(build.nccl or ""),
                            architectures=Reading(None, "unknown", "it is not installed yet"))  # fmt: skip
            if (own is None or own.first(3), torch.cuda) != (release, found.cuda):
                yield _torch(torch, found, build)


def _torch(torch: Torch, found: Torch, build: TorchBuild) -> Upgrade:
    def install(host: HostRecord) -> HostRecord:
        others = [each for each in host.torches.value or () if each is not torch and each != torch]
        return replace(host, torches=Reading((*others, found)))

    where = f"{torch.path}" if torch.place == "host" else f"{torch.place}, {torch.path}"
    plain, _, tag = found.version.partition("+")
    index = "" if build.pypi_default else f" --index-url https://download.pytorch.org/whl/{tag}"
    how = f"pip install torch=={plain}{index}" if torch.place == "host" else f"rebuild {torch.place} with torch {plain}"
    return Upgrade("torch", f"PyTorch in {where}", torch.version, found.version, how, install)


# Containers


def _container_toolkit(host: HostRecord) -> Iterator[Upgrade]:
    def install(host: HostRecord) -> HostRecord:
        return _with_runtime(host, toolkit=CONTAINER_TOOLKIT, nvidia_runtime=True)

    runtime = host.runtime.value
    now = version(runtime.toolkit) if runtime else None
    if runtime and (now is None or now < Version(CONTAINER_TOOLKIT) or not runtime.nvidia_runtime):
        how = "nvidia_container_toolkit_version in group_vars (its default will do) and `wxops provision`"
        after = f"{CONTAINER_TOOLKIT} or later"
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
        yield Upgrade("CDI", "CDI specification", before, "the driver's version", how, write)


def _with_runtime(host: HostRecord, **changes: object) -> HostRecord:
    runtime: ContainerRuntime | None = host.runtime.value
    return host if runtime is None else replace(host, runtime=Reading(replace(runtime, **changes)))  # type: ignore[arg-type]
