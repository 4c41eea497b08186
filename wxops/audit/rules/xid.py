"""XID errors in the kernel's log, each with what NVIDIA's catalogue says is to be done."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, warned
from wxops.audit.gpu import Gpu
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord, Xid, same_address
from wxops.audit.rule import rule
from wxops.audit.subjects import NO_GPU, missing, nvidia_cards

# The catalogue's actions: how bad, and what is to be done. RESTART_APP is the application's fault as a rule.
ACTIONS = {
    "IGNORE": ("pass", ""),
    "RESTART_APP": ("warn", "restart the application; if it comes again, run it under compute-sanitizer"),
    "RESET_GPU": ("fail", "drain the GPU and reset it (nvidia-smi --gpu-reset), or reboot the host"),
    "RESTART_BM": ("fail", "drain and reboot the host"),
    "RESTART_VM": ("fail", "drain and restart the virtual machine"),
    "CONTACT_SUPPORT": ("fail", "take the GPU out of service and send nvidia-bug-report.sh's report to the vendor"),
    "CHECK_MECHANICALS": ("fail", "check the board's power cables and seating"),
    "UPDATE_SWFW": ("fail", "update driver and firmware to versions that go together"),
    "CHECK_UVM": ("warn", "restart the application; if it comes again, update the driver"),
    "WORKFLOW_XID_45": ("warn", "find the error before it in the log: this one only cleans up after it"),
    "WORKFLOW_XID_48": ("fail", "drain the GPU and reset it, then see memory.rows-remapped"),
    "WORKFLOW_NVLINK_ERR": ("fail", "reset the GPUs; if it comes again, have the NVLink hardware checked"),
    "WORKFLOW_NVLINK5_ERR": ("fail", "reset the GPUs; if it comes again, have the NVLink hardware checked"),
    "XID_154": ("pass", ""),
}
REMAPPING = {63, 64}


@rule(
    "xid.none-serious",
    area="hardware",
    severity="fail",
    title="The kernel's log has no XID error that asks for something",
    why="XID errors are how the driver reports faults; what each asks for is in NVIDIA's catalogue.",
    source="compat.yaml: xid (https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html)",
)
def none_serious(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not nvidia_cards(host) and not host.gpus:
        yield skipped("kernel log", NO_GPU)
    elif not host.xids.known:
        yield missing("kernel log", host.xids, "it")
    elif not host.xids.value:
        yield passed("kernel log", "no XID error since boot")
    for xid in host.xids.value or ():
        yield _judge(host, known, xid)


def _judge(host: HostRecord, known: Knowledge, xid: Xid) -> Judgement:
    gpu = next((gpu for gpu in host.gpus if same_address(host.pci_address_of(gpu), xid.pci_address)), None)
    subject = f"GPU {gpu.index}" if gpu else f"GPU at {xid.pci_address}"
    times = f"{xid.count} times" if xid.count > 1 else "once"
    row = next((row for row in known.tables.xids if row.code == xid.code), None)
    when = f", last {xid.last}" if xid.last else ""
    said = f"XID {xid.code} {times}{when}: {row.description if row else 'not in the catalogue'}"
    if xid.code in REMAPPING:
        return _remapping(subject, said, gpu)
    if row and row.action is None:
        return warned(subject, said, "the catalogue names no action: see the lines around it in the kernel's log")
    verdict, fix = ACTIONS.get(row.action or "", ACTIONS["CONTACT_SUPPORT"]) if row else ACTIONS["CONTACT_SUPPORT"]
    if verdict == "pass":
        return passed(subject, said)
    if row and row.action == "RESET_GPU" and gpu and gpu.recovery_action.value == "none":  # it was made since
        return warned(subject, f"{said}; the driver asks for no recovery now", f"watch it; if it comes again, {fix}")
    return failed(subject, said, fix, certain=verdict == "fail" and (row is None or row.certain))


def _remapping(subject: str, said: str, gpu: Gpu | None) -> Judgement:
    """63 and 64 tell of rows that were, or could not be, replaced: how it stands now decides, not the old line."""
    rows = gpu.remapped_rows.value if gpu else None
    if rows is None:
        return warned(subject, said, "ask nvidia-smi -q -d ROW_REMAPPER whether a replacement is pending or failed")
    if rows.pending or rows.failure:
        return skipped(subject, f"{said}; see memory.rows-remapped")
    return passed(subject, f"{said}; nothing is pending, nothing failed")


@rule(
    "xid.switches",
    area="hardware",
    severity="fail",
    title="The kernel's log has no error of an NVSwitch",
    why="SXID errors are the NVSwitches' own; a fatal one stops NVLink for all GPUs until the host is reset.",
    source="NVIDIA Fabric Manager User Guide, SXid Errors; leptonai/gpud sxid",
)
def switches(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not nvidia_cards(host) and not host.gpus:
        yield skipped("kernel log", NO_GPU)
    elif not host.sxids.known:
        yield missing("kernel log", host.sxids, "it")
    elif not host.sxids.value:
        yield passed("kernel log", "no SXID error since boot")
    for sxid in host.sxids.value or ():
        times = f"{sxid.count} times" if sxid.count > 1 else "once"
        said = f"SXID {sxid.code} {times}: {sxid.text}"
        text = sxid.text.casefold()
        if "fatal" in text and "non-fatal" not in text:
            fix = "drain and reboot the host; if it comes again, have board and switch checked"
            yield failed(f"NVSwitch at {sxid.pci_address}", said, fix)
        else:
            fix = "watch it; if it comes again, have NVLink and NVSwitch checked"
            yield warned(f"NVSwitch at {sxid.pci_address}", said, fix)
