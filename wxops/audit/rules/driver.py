"""NVIDIA's driver: whether it is there, answers, is of one version, is kept up, and knows the host's GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import (
    architecture_of,
    best_branch,
    branch_of,
    driver_cuda,
    driver_of,
    driver_upgrade,
    released_with,
)
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import NO_ANSWER, NO_GPU, each_gpu, missing, nvidia_cards
from wxops.audit.versions import Version, version

SOON = timedelta(days=90)
MISMATCH, NOT_LOADED = "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "NVML_ERROR_DRIVER_NOT_LOADED"
NO_LIBRARY = "NVML_ERROR_LIBRARY_NOT_FOUND"


def expects_driver(host: HostRecord) -> bool:
    return bool(nvidia_cards(host) or host.nvidia or host.nvidia_module)


@rule(
    "driver.nouveau",
    area="driver",
    severity="fail",
    title="nouveau does not hold the GPUs",
    why="NVIDIA's module cannot take a GPU that the kernel's own nouveau has.",
    source="NVIDIA Driver Installation Guide r590, Disabling the Nouveau driver",
)
def nouveau(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    held = [device.address for device in host.pci if device.driver == "nouveau"]
    if not expects_driver(host):
        yield skipped("driver", NO_GPU)
    elif held or (host.nouveau_loaded and host.nvidia_module is None):
        where = f"it holds {', '.join(held)}" if held else "it is loaded, and NVIDIA's module is not"
        yield failed(
            "driver",
            f"nouveau: {where}",
            "write 'blacklist nouveau' and 'options nouveau modeset=0' to /etc/modprobe.d/nouveau.conf, rebuild the "
            "initramfs, then reboot",
        )
    else:
        yield passed("driver", "nouveau holds no GPU")


@rule(
    "driver.module-loaded",
    area="driver",
    severity="fail",
    title="NVIDIA's kernel module is loaded",
    why="Without it no program sees a GPU. Secure Boot refuses modules that are not signed with an enrolled key.",
    source="compat.yaml: nvml_errors; NVIDIA Driver Installation Guide r590, Secure Boot",
)
def module_loaded(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    answers = host.nvidia is not None and not host.nvidia.error
    cards = f"{nvidia_cards(host)} NVIDIA GPU{'s' if nvidia_cards(host) != 1 else ''} on the PCI bus"
    if not expects_driver(host):
        yield skipped("kernel module", NO_GPU)
    elif host.nvidia_module or answers:
        yield passed(
            "kernel module", f"version {host.nvidia_module.version}" if host.nvidia_module else "the driver answers"
        )
    elif host.nouveau_loaded or any(device.driver == "nouveau" for device in host.pci):
        yield skipped("kernel module", "nouveau is in its way, see driver.nouveau")
    elif host.system.secure_boot.value:
        yield failed(
            "kernel module",
            f"{cards}, no module loaded, Secure Boot is on",
            "sign the module: install the signed package (linux-modules-nvidia-*), or enroll the DKMS key with "
            "mokutil --import, then reboot",
        )
    elif host.nvidia is not None and host.nvidia.library:
        yield failed(
            "kernel module",
            f"{cards}, libraries {host.nvidia.library_version or '?'} but no module loaded",
            _load(host),
        )
    else:
        branch = best_branch(known, host)
        named = (
            f"branch {branch.branch} {branch.kind}, alive until {branch.eol}" if branch else "a branch that is kept up"
        )
        yield failed("kernel module", f"{cards}, no driver", f"install NVIDIA's driver ({named}), then reboot")


def _load(host: HostRecord) -> str:
    if host.nvidia_module_on_disk:
        return "load it: modprobe nvidia"
    built = f"build it for kernel {host.system.kernel}: install the kernel's headers"
    return f"{built}, then dkms autoinstall and modprobe nvidia"


@rule(
    "driver.library-matches-module",
    area="driver",
    severity="fail",
    title="The loaded kernel module and the driver's libraries are of one version",
    why="After an upgrade without a reboot every new GPU program fails with NVML error 18, while old ones go on.",
    source="compat.yaml: driver_branches.packaging, nvml_errors",
)
def library_matches_module(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = host.nvidia
    if not expects_driver(host):
        yield skipped("driver", NO_GPU)
        return
    module = host.nvidia_module.version if host.nvidia_module else ""
    library = driver.library_version if driver else ""
    if driver and driver.error == MISMATCH:
        found = f"module {module or '?'}, libraries {library or '?'}: {MISMATCH} (18)"
        yield failed("driver", found, _reboot(library, host.nvidia_module_on_disk))
    elif not module or not library:
        yield skipped("driver", f"there is no {'module' if not module else 'library'} to compare")
    elif module != library:
        yield failed("driver", f"module {module}, libraries {library}", _reboot(library, host.nvidia_module_on_disk))
    else:
        yield passed("driver", f"module and libraries {module}")


def _reboot(library: str, on_disk: str) -> str:
    """A reboot helps when the module that it would load is the libraries'."""
    if library and on_disk and on_disk != library:
        return f"install the kernel module of driver {library} (the one on disk is {on_disk}), then reboot"
    return f"reboot, so that the module becomes {library or 'that of the libraries'}"


@rule(
    "driver.answers",
    area="driver",
    severity="fail",
    title="The driver answers NVIDIA's management library",
    why="What nvidia-smi, container runtimes and exporters ask goes through it; without it no GPU can be judged.",
    source="compat.yaml: nvml_errors",
)
def answers(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = host.nvidia
    if not expects_driver(host):
        yield skipped("driver", NO_GPU)
    elif driver is None or driver.error == NO_LIBRARY:
        fix = "install the driver's libraries (libnvidia-compute, nvidia-driver-libs) of the module's version"
        if host.nvidia_module is None:
            yield skipped("driver", "there is no driver, see driver.module-loaded")
        else:
            yield failed("driver", f"module {host.nvidia_module.version}, but no libnvidia-ml.so.1", fix)
    elif driver.error == MISMATCH:
        yield skipped("driver", "library and module differ, see driver.library-matches-module")
    elif driver.error == NOT_LOADED:
        yield skipped("driver", "no module is loaded, see driver.module-loaded")
    elif driver.error:
        name = driver.error.partition(":")[0]  # after it stands the linker's word, where the library did not load
        row = next((row for row in known.tables.nvml_errors if row.error == name), None)
        text, fix = (row.text, row.fix) if row else ("", "reboot the host; if it stays, reinstall the driver")
        yield failed("driver", f"{driver.error}{': ' if text else ''}{text}", fix)
    elif not driver.driver_version.known:
        yield missing("driver", driver.driver_version, "its version")
    else:
        yield passed("driver", f"driver {driver.driver_version.value}, CUDA {driver.cuda_version.value or '?'}")


@rule(
    "driver.branch-alive",
    area="driver",
    severity="warn",
    title="The driver's branch still gets security updates",
    why="Branches end; after that holes in the driver, which runs in the kernel, stay open.",
    source="compat.yaml: driver_branches",
)
def branch_alive(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver = driver_of(host)
    if not expects_driver(host):
        yield skipped("driver", NO_GPU)
    elif driver is None:
        yield skipped("driver", NO_ANSWER)
    elif (row := branch_of(known, driver)) is None:
        newest = max(row.branch for row in known.tables.driver_branches)
        age = "newer than" if driver > newest else "not one of"
        yield undetermined("driver", f"{driver}: its branch is {age} those known on {known.tables.collected}")
    elif row.ends < known.today:
        yield warned("driver", f"{driver}: branch {row.branch} {row.kind} ended {row.eol}", _next_branch(host, known))
    elif row.ends - known.today < SOON:
        yield warned("driver", f"{driver}: branch {row.branch} {row.kind} ends {row.eol}", _next_branch(host, known))
    else:
        yield passed("driver", f"{driver}: branch {row.branch} {row.kind}, alive until {row.eol}")


def _next_branch(host: HostRecord, known: Knowledge) -> str:
    """Of those that outlive the warning, if there is one."""
    branch = best_branch(known, host)
    if branch is None:
        return "replace the GPU: no branch that is kept up knows it"
    to = branch.latest_seen or branch.branch
    return (
        f"change to branch {branch.branch} ({branch.kind}, alive until {branch.eol}): driver {to} or later, then reboot"
    )


@rule(
    "driver.knows-gpu",
    area="driver",
    severity="fail",
    title="The driver's branch knows each GPU's architecture",
    why="Branches drop old architectures, and new ones need a new branch.",
    source="compat.yaml: architectures",
)
def knows_gpu(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    driver, cuda = driver_of(host), driver_cuda(host)

    def judge(subject: str, gpu: object, cc: str) -> Judgement:
        found = architecture_of(known, Version(cc)) if version(cc) else None
        if driver is None:
            return undetermined(subject, "the driver's version could not be read")
        if found is None:
            return undetermined(subject, f"compute capability {cc} is not in the table of {known.tables.collected}")
        row, exact = found
        last = row.driver_last_branch
        if last and driver.major > last.major:
            return failed(
                subject,
                f"{row.arch} ({cc}), driver {driver}: the last branch for {row.arch} is {last}",
                f"install a driver of branch {last}, then reboot",
                exact,
            )
        if cuda and row.cuda_first and cuda < row.cuda_first:
            return failed(
                subject,
                f"{row.arch} ({cc}) came with CUDA {row.cuda_first}, driver {driver} knows CUDA {cuda}",
                driver_upgrade(known, host, released_with(known, row.cuda_first) or driver),
                exact,
            )
        return passed(subject, f"{row.arch} ({cc}), driver {driver}" + (f", last branch {last}" if last else ""))

    yield from each_gpu(host, lambda gpu: gpu.compute_capability, "its compute capability", judge)


@rule(
    "driver.open-modules",
    area="driver",
    severity="fail",
    title="The kernel modules are of the kind that the GPUs need",
    why="Volta and older run only with the proprietary modules, Blackwell only with the open ones.",
    source="compat.yaml: architectures.kernel_modules",
)
def open_modules(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    module = host.nvidia_module

    def judge(subject: str, gpu: object, cc: str) -> Judgement:
        found = version(cc)
        if module is None or found is None:
            return skipped(subject, "no kernel module is seen from here")
        kind = "open" if module.open else "proprietary"
        if module.open and found < Version("7.5"):
            return failed(
                subject,
                f"compute capability {cc} with the open modules",
                f"install the proprietary modules of driver {module.version}, then reboot",
            )
        if not module.open and found >= Version("10.0"):
            return failed(
                subject,
                f"compute capability {cc} with the proprietary modules",
                f"install the open modules (nvidia-open) of driver {module.version}, then reboot",
                certain=False,
            )
        return passed(subject, f"{kind} modules, compute capability {cc}")

    yield from each_gpu(host, lambda gpu: gpu.compute_capability, "its compute capability", judge)
