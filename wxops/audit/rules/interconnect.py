"""What joins GPUs to the host and to each other: PCIe, NVLink, the NVSwitch fabric and its manager."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, unsupported, warned
from wxops.audit.gpu import Fabric, Gpu, NvLink
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import each_gpu, missing, without_gpus

BRIDGED = ("pcie", "nvl")  # cards that have NVLink only where a bridge joins them


@rule(
    "pcie.full-width",
    area="hardware",
    severity="fail",
    title="Each GPU has all the lanes that card and slot can have",
    why="On x8 instead of x16 loading and offloading take twice as long. The generation drops when a GPU idles, so it "
    "is not judged; the width does not.",
    source="compat.yaml: pcie; NVIDIA DCGM diagnostics, plugin pcie",
)
def full_width(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, width: int) -> Judgement:
        most = gpu.pcie.max_width.value
        if most is None:
            return missing(subject, gpu.pcie.max_width, "the lanes that it could have")
        if width < most:
            fix = "reseat card and riser; if it stays, try another slot to tell card from board"
            return failed(subject, f"x{width}, card and slot could have x{most}", fix)
        return passed(subject, f"x{width}")

    yield from each_gpu(host, lambda gpu: gpu.pcie.width, "its PCIe width", judge)


@rule(
    "pcie.replays",
    area="hardware",
    severity="warn",
    title="PCIe seldom repeats a packet",
    why="Repeats come from a bad contact or riser; they cost bandwidth and end in a lost GPU.",
    source="compat.yaml: pcie",
)
def replays(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, count: int) -> Judgement:
        minutes = max(host.system.uptime_s / 60, 1.0)
        rate = count / minutes
        limit = known.tables.replays_per_minute
        if count > 10 * limit and rate > limit:  # fewer may be from the link's training at boot
            fix = "reseat card and riser, or replace the cable"
            return warned(
                subject, f"{count} repeats, {rate:.0f} a minute since boot; fewer than {limit:g} are expected", fix
            )
        return passed(subject, f"{count} repeats" if count else "none")

    yield from each_gpu(host, lambda gpu: gpu.pcie.replays, "the count of repeats", judge)


@rule(
    "nvlink.up",
    area="hardware",
    severity="fail",
    title="Every GPU has as many NVLinks up as the others of its kind",
    why="A link that is down where its peers are up halves what tensor parallelism needs. Links that are down on all "
    "GPUs are no fault: a PCIe card without a bridge reports them so.",
    source="leptonai/gpud#1085; NVIDIA/NVSentinel#1481",
)
def nvlink_up(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    most: dict[str, int] = defaultdict(int)
    for gpu in host.gpus:
        active = sum(link.active for link in gpu.nvlinks.value or ())
        most[gpu.name.value or ""] = max(most[gpu.name.value or ""], active)

    def judge(subject: str, gpu: Gpu, links: tuple[NvLink, ...]) -> Judgement:
        name = gpu.name.value or ""
        up, peers = sum(link.active for link in links), most[name]
        if not links or not peers:
            return skipped(subject, "no NVLink is up on any GPU of its kind: not joined by NVLink, which is no fault")
        if up == 0 and any(word in name.casefold() for word in BRIDGED):
            return skipped(subject, "no NVLink: a card without a bridge, which is no fault")
        if up < peers:
            down = ", ".join(str(link.link) for link in links if not link.active)
            fix = "drain and reboot the host; if the link stays down, have board and switch checked"
            return failed(subject, f"{up} of {peers} links up, down: {down}", fix)
        return passed(subject, f"{up} links up")

    yield from each_gpu(host, lambda gpu: gpu.nvlinks, "NVLink", judge)


@rule(
    "nvlink.errors",
    area="hardware",
    severity="warn",
    title="NVLinks count no errors",
    why="Replays and CRC errors of a link slow down collectives and come before it fails.",
    source="NVIDIA NVML, nvmlDeviceGetNvLinkErrorCounter; compat.yaml: xid (74)",
)
def nvlink_errors(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, links: tuple[NvLink, ...]) -> Judgement:
        up = [link for link in links if link.active]
        if not up:
            return skipped(subject, "no NVLink is up")
        bad = [link for link in up if link.errors.value]
        if bad:
            listed = ", ".join(f"link {link.link}: {link.errors.value}" for link in bad)
            return warned(
                subject, f"errors: {listed}", "watch the counters; if they grow, have board and switch checked"
            )
        silent = next((link for link in up if not link.errors.known), None)
        if silent:
            return missing(subject, silent.errors, "the count of errors of its links")
        return passed(subject, "none")

    yield from each_gpu(host, lambda gpu: gpu.nvlinks, "NVLink", judge)


@rule(
    "fabric.joined",
    area="hardware",
    severity="fail",
    title="Every GPU has joined the NVSwitch fabric",
    why="Until it has, CUDA does not start on it: 'system not yet initialized' (error 802).",
    source="NVIDIA NVML, nvmlDeviceGetGpuFabricInfoV; NVIDIA/gpu-operator#1043",
)
def fabric_joined(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, fabric: Fabric) -> Judgement:
        said = f"fabric {fabric.state}{f', {fabric.status}' if fabric.status else ''}"
        if fabric.state == "not_supported":
            return unsupported(subject, "it has no fabric")
        if fabric.state != "completed":
            return failed(subject, said, "systemctl restart nvidia-fabricmanager; if it stays, read its log")
        if fabric.status and fabric.status != "NVML_SUCCESS":
            return failed(subject, said, "systemctl restart nvidia-fabricmanager, then reset the GPU")
        if "unhealthy" in fabric.health or "degraded" in fabric.health:
            return failed(subject, f"{said}, {fabric.health}", "have NVLink and NVSwitch checked")
        return passed(subject, said)

    yield from each_gpu(host, lambda gpu: gpu.fabric, "the fabric", judge)


@rule(
    "fabric.manager",
    area="hardware",
    severity="fail",
    title="nvidia-fabricmanager runs, and is of the driver's version",
    why="It sets up the NVSwitches; of another version than the driver it stops, and no CUDA program starts.",
    source="compat.yaml: fabric_manager",
)
def fabric_manager(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if why := without_gpus(host):
        yield why
        return
    manager, driver = host.fabric_manager, host.nvidia.driver_version.value if host.nvidia else None
    switches = any("switch" in link.remote for gpu in host.gpus for link in gpu.nvlinks.value or ())
    fabrics = [gpu.fabric.value for gpu in host.gpus if gpu.fabric.value]
    joined = [fabric.state == "completed" for fabric in fabrics if fabric.state != "not_supported"]
    subject = "nvidia-fabricmanager"
    if not switches and not joined:
        yield skipped(subject, "no GPU here hangs on an NVSwitch")
    elif manager is None and joined and all(joined):
        yield passed(subject, "not here, and all GPUs have joined: it runs outside this machine")
    elif manager is None:
        fix = f"install nvidia-fabricmanager {driver or 'of the version of the driver'} and enable it"
        yield failed(subject, "not installed, and GPUs hang on an NVSwitch", fix)
    elif driver and manager.version != driver:
        fix = f"install nvidia-fabricmanager {driver}, then systemctl restart nvidia-fabricmanager"
        # NVIDIA's own page was not read: what fails a host is a manager that stopped or a GPU that has not joined.
        yield failed(subject, f"version {manager.version}, driver {driver}", fix, certain=False)
    elif not manager.active:
        yield failed(subject, f"{manager.version} is not running", "systemctl enable --now nvidia-fabricmanager")
    else:
        yield passed(subject, f"{manager.version} runs, as the driver")
