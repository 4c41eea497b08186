"""Memory of the GPUs: ECC, rows and pages that were replaced or could not be, and what the driver says must be done."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, warned
from wxops.audit.gpu import Gpu, Mode, RemappedRows, RetiredPages
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import of_kind
from wxops.audit.reading import Reading, unknown
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import alike, each_gpu, missing, without_gpus

MANAGEMENT = "NVIDIA GPU Memory Error Management, https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/"
RESET = "drain the GPU and reset it (nvidia-smi --gpu-reset -i {index}), or reboot the host"
REPLACE = "take the GPU out of service, run NVIDIA's field diagnostic and have it replaced"
# The driver's own verdict: NVML_FI_DEV_GET_GPU_RECOVERY_ACTION.
RECOVERY = {
    "gpu_reset": RESET,
    "node_reboot": "drain and reboot the host",
    "system_reboot": "drain and reboot the host",
    "drain_p2p": "stop the work that uses this GPU over NVLink, then reset it",
    "drain_and_reset": RESET,
    "recover_imex": "restart nvidia-imex in the whole NVLink domain",
    "bus_reset": "drain the GPU and reboot the host, which resets its bus",
}


@rule(
    "memory.ecc-on",
    area="hardware",
    severity="warn",
    title="ECC is on",
    why="Without ECC a flipped bit is a wrong answer, not an error.",
    source="compat.yaml: nvml_errors; nvidia-smi manual, --ecc-config",
)
def ecc_on(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, ecc: Mode) -> Judgement:
        if ecc.current != ecc.pending:
            state = "on" if ecc.pending else "off"
            return warned(subject, f"ECC will be {state} after the next reboot", "reboot the host")
        if not ecc.current:
            return warned(subject, "ECC is off", "nvidia-smi --ecc-config=1, then reboot")
        return passed(subject, "ECC is on")

    yield from each_gpu(host, lambda gpu: gpu.ecc, "ECC", judge)


@rule(
    "memory.no-uncorrected",
    area="hardware",
    severity="fail",
    title="No memory error that ECC could not correct since the driver was loaded",
    why="An uncorrected error ends the program that meets it; the row must be replaced, which a reset does.",
    source=MANAGEMENT,
)
def no_uncorrected(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, count: int) -> Judgement:
        total = gpu.ecc_uncorrected_aggregate.value
        if count:
            return failed(subject, f"{count} uncorrected since the driver was loaded", RESET.format(index=gpu.index))
        return passed(subject, "none" + (f"; {total} in the board's life" if total else ""))

    yield from each_gpu(host, lambda gpu: gpu.ecc_uncorrected_volatile, "the count of uncorrected errors", judge)


@rule(
    "memory.sram-threshold",
    area="hardware",
    severity="fail",
    title="Errors of the GPU's own memory (SRAM) are below the threshold",
    why="SRAM has no spare rows: above the threshold the board is to be replaced.",
    source="NVIDIA NVML, nvmlDeviceGetSramEccErrorStatus (bThresholdExceeded)",
)
def sram_threshold(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, exceeded: bool) -> Judgement:
        if exceeded:
            return failed(subject, "more SRAM errors than NVIDIA's threshold", REPLACE)
        return passed(subject, "below the threshold")

    yield from each_gpu(host, lambda gpu: gpu.sram_threshold_exceeded, "the state of its SRAM", judge)


@rule(
    "memory.rows-remapped",
    area="hardware",
    severity="fail",
    title="No row of memory waits to be replaced, and none could not be",
    why="A pending replacement is made by a reset; when a row cannot be replaced any more, the board is used up.",
    source=f"{MANAGEMENT}; leptonai/gpud#987; compat.yaml: memory_error_management",
)
def rows_remapped(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, rows: RemappedRows) -> Judgement:
        count = f"{rows.uncorrectable} rows replaced for uncorrected errors, {rows.correctable} for corrected ones"
        if rows.failure:
            return failed(subject, f"remapping failed: a row could not be replaced ({count})", REPLACE)
        if rows.pending:
            return failed(subject, f"a row waits to be replaced ({count})", RESET.format(index=gpu.index))
        return passed(subject, count if rows.uncorrectable or rows.correctable else "none")

    yield from each_gpu(host, lambda gpu: _of_kind(gpu, known), "replacing rows", judge)


def _of_kind(gpu: Gpu, known: Knowledge) -> Reading[RemappedRows]:
    """A GPU of a kind that replaces rows and does not tell of them is not one that lacks them."""
    rows, name = gpu.remapped_rows, gpu.name.value or ""
    kinds = [kind for row in known.tables.memory_errors if row.row_remapping for kind in row.gpus]
    if rows.state == "not_supported" and any(of_kind(name, kind) for kind in kinds):
        return unknown(f"{name} replaces rows, and the driver does not tell of them ({rows.detail})")
    return rows


@rule(
    "memory.pages-retired",
    area="hardware",
    severity="fail",
    title="No page of memory waits to be retired",
    why="GPUs before Ampere retire pages at the next reset; until then the bad page is used.",
    source="NVIDIA Dynamic Page Retirement, https://docs.nvidia.com/deploy/dynamic-page-retirement/",
)
def pages_retired(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, pages: RetiredPages) -> Judgement:
        count = f"{pages.double_bit} retired for double-bit errors, {pages.single_bit} for single-bit ones"
        if not pages.pending.known:
            return missing(subject, pages.pending, "whether pages wait to be retired")
        if pages.pending.value:
            return failed(subject, f"a page waits to be retired ({count})", RESET.format(index=gpu.index))
        return passed(subject, count if pages.double_bit or pages.single_bit else "none")

    yield from each_gpu(host, lambda gpu: gpu.retired_pages, "retiring pages", judge)


@rule(
    "memory.repair-pending",
    area="hardware",
    severity="fail",
    title="No repair of memory is pending",
    why="Newer GPUs repair channels and rows at a reset; until then errors go on.",
    source="NVIDIA NVML, nvmlDeviceGetRepairStatus",
)
def repair_pending(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    def judge(subject: str, gpu: Gpu, pending: bool) -> Judgement:
        if pending:
            return failed(subject, "a repair is pending", RESET.format(index=gpu.index))
        return passed(subject, "none")

    yield from each_gpu(host, lambda gpu: gpu.repair_pending, "repairing memory", judge)


@rule(
    "memory.recovery-action",
    area="hardware",
    severity="fail",
    title="The driver asks for no recovery",
    why="The driver says itself what a GPU needs after an error; until it is done, new work may fail.",
    source="NVIDIA NVML, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION (field 230); compat.yaml: xid (154)",
)
def recovery_action(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if why := without_gpus(host):
        yield why
        return

    def judged() -> Iterator[tuple[int, Judgement]]:
        for gpu in host.gpus:
            subject, reading = f"GPU {gpu.index}", gpu.recovery_action
            if gpu.lost and not reading.known:
                yield gpu.index, skipped(subject, "the driver has lost it, see health.gpu-lost")
            elif not reading.known:
                yield gpu.index, missing(subject, reading, "the recovery action")
            elif reading.value == "none":
                yield gpu.index, passed(subject, "none")
            else:
                fix = RECOVERY.get(reading.value or "", "drain and reboot the host").format(index=gpu.index)
                yield gpu.index, failed(subject, f"the driver asks for {reading.value}", fix)

    yield from alike(judged())
