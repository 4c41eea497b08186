"""The host under the GPUs: its operating system's end of life, its clock, held packages and PyTorch's settings."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.alloc_conf import problems
from wxops.audit.finding import Judgement, failed, passed, skipped, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import missing
from wxops.audit.tables import OsLife, last_day
from wxops.audit.versions import version

LIKE_RHEL = {"rocky", "almalinux", "centos", "ol"}
DRIVER_PACKAGES = ("nvidia-", "libnvidia-", "cuda-drivers", "linux-modules-nvidia-", "xserver-xorg-video-nvidia")
NOT_OF_THE_DRIVER = ("nvidia-container-toolkit", "nvidia-docker", "libnvidia-container", "nvidia-driver-pinning")
UPGRADERS = {"unattended-upgrades", "dnf-automatic"}
SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")


@rule(
    "host.os-alive",
    area="host",
    severity="warn",
    title="The operating system still gets security updates",
    why="After its end holes in kernel and OpenSSL stay open, and drivers and toolkits drop it. The kernel is the "
    "distribution's and ends with it.",
    source="compat.yaml: os_lifecycle",
)
def os_alive(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    os_id = host.system.os_id.casefold()
    kept_by = "rhel" if os_id in LIKE_RHEL else os_id
    release = version(host.system.os_version)
    row = next(
        (r for r in known.tables.os_lifecycle if r.os == kept_by and release and release.starts_with(r.version)), None
    )
    subject = f"{host.system.os_name}, kernel {host.system.kernel}"
    if row is None:
        yield skipped(
            subject, f"no end of life of {os_id} {host.system.os_version} is in the table of {known.tables.collected}"
        )
    elif last_day(row.eol) >= known.today:
        yield passed(subject, f"security updates until {row.eol}")
    elif row.extended and row.extended_free and last_day(row.extended) >= known.today:
        yield passed(subject, f"long-term security updates until {row.extended}")
    elif row.extended and last_day(row.extended) >= known.today:
        evidence = f"free security updates ended {row.eol}; with a subscription they go on until {row.extended}"
        yield warned(subject, evidence, _upgrade(known, row))
    else:
        yield warned(subject, f"security updates ended {row.extended or row.eol}", _upgrade(known, row))


def _upgrade(known: Knowledge, row: OsLife) -> str:
    newer = [r for r in known.tables.os_lifecycle if r.os == row.os and last_day(r.eol) > known.today]
    best = max(newer, key=lambda r: last_day(r.eol), default=None)
    return (
        f"upgrade to {best.os} {best.version} (until {best.eol})" if best else f"upgrade to a newer release of {row.os}"
    )


@rule(
    "host.time-synchronized",
    area="host",
    severity="warn",
    title="The clock is synchronized",
    why="With a wrong clock certificates are refused, logs do not line up and distributed work times out.",
    source="systemd timedatectl manual, NTPSynchronized",
)
def time_synchronized(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    reading = host.system.time_synchronized
    if not reading.known:
        yield missing("clock", reading, "whether it is synchronized")
    elif reading.value:
        yield passed("clock", "synchronized")
    else:
        yield warned("clock", "not synchronized", "timedatectl set-ntp true, or enable chrony")


@rule(
    "host.driver-held",
    area="host",
    severity="warn",
    title="Unattended upgrades leave NVIDIA's packages alone",
    why="They replace the driver's libraries under the loaded module: every new GPU program fails until a reboot.",
    source="compat.yaml: driver_branches.packaging",
)
def driver_held(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.packages.known:
        yield missing("packages", host.packages, "which packages are installed")
        return
    packages = host.packages.value or ()
    names = {package.name for package in packages}
    driver = [p for p in packages if p.name.startswith(DRIVER_PACKAGES) and not p.name.startswith(NOT_OF_THE_DRIVER)]
    loose = sorted(package.name for package in driver if not package.held)
    if not driver:
        yield skipped("packages", "no package of NVIDIA's driver is installed")
    elif not (unasked := names & UPGRADERS):
        yield passed("packages", f"none of {', '.join(sorted(UPGRADERS))} is installed")
    elif any(name.startswith("nvidia-driver-pinning") for name in names):
        yield passed("packages", "pinned by nvidia-driver-pinning")
    elif loose:
        hold = "dnf versionlock add" if "dnf-automatic" in unasked else "apt-mark hold"
        evidence = f"{', '.join(sorted(unasked))} is on, not held: {', '.join(loose)}"
        yield warned("packages", evidence, f"{hold} {' '.join(loose)}")
    else:
        yield passed("packages", f"{len(driver)} held")


@rule(
    "host.alloc-conf",
    area="host",
    severity="fail",
    title="PyTorch's allocator takes its settings",
    why="A key or value that it does not know stops PyTorch at its first use of a GPU.",
    source="compat.yaml: alloc_conf",
)
def alloc_conf(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.settings.known:
        yield missing("settings", host.settings, "which variables are set")
        return
    found = [setting for setting in host.settings.value or () if setting.name in SETTINGS]
    if not found:
        yield skipped("PYTORCH_ALLOC_CONF", "it is not set")
    table = known.tables.alloc_conf
    newest = max((v for torch in host.torches.value or () if (v := version(torch.version))), default=None)
    for setting in found:
        subject = f"{setting.name} in {setting.where}"
        wrong = list(problems(setting.value, table))
        old = table.deprecated_name
        if wrong:
            yield failed(subject, f"{setting.value}: {'; '.join(wrong)}", f"mend {setting.name} in {setting.where}")
        elif setting.name == old.name and newest and newest >= old.from_torch:
            evidence = f"since PyTorch {old.from_torch} its name is {old.use}; {newest} is installed"
            yield warned(subject, evidence, f"set {old.use}={setting.value} in {setting.where} instead")
        else:
            yield passed(subject, setting.value)
