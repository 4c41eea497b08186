"""`python -m tests.gpu.against_real AUDIT.json`: an audit of this machine beside what nvidia-smi and PyTorch say of it.

Run on a machine with a GPU, right after `wxops audit -i localhost, -c local --json AUDIT.json`. Prints a line a field
and exits with 1 where a field is not as nvidia-smi, or the PyTorch that was found, has it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from wxops.audit.saved import load

MIB = 1 << 20
NOT_THERE = {"N/A", "[N/A]", ""}
TORCH = """
import json, torch
nccl = torch.cuda.nccl.version()
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
                  "nccl": list(nccl), "architectures": torch.cuda.get_arch_list()}))
"""


def number(text: str) -> float:
    return float(text.split()[0])


def on(text: str) -> bool:
    return text in ("Enabled", "Yes", "Active")


def same(ours: Any, theirs: Any) -> bool:
    return bool(ours == theirs)


def near(allowed: float) -> Callable[[Any, Any], bool]:
    """For what moves between two looks."""
    return lambda ours, theirs: abs(ours - theirs) <= allowed


# A field of the record, its path in `nvidia-smi -q -x`, how that text is read, and how both are held together.
FIELDS: list[tuple[str, str, Callable[[str], Any], Callable[[Any, Any], bool]]] = [
    ("name", "product_name", str, same),
    ("uuid", "uuid", str, same),
    ("serial", "serial", str, same),
    ("board_part", "board_part_number", str, same),
    ("vbios", "vbios_version", str, same),
    ("architecture", "product_architecture", str, same),
    ("memory_total", "fb_memory_usage/total", lambda text: number(text) * MIB, near(MIB)),
    ("memory_used", "fb_memory_usage/used", lambda text: number(text) * MIB, near(700 * MIB)),
    ("bar1_total", "bar1_memory_usage/total", lambda text: number(text) * MIB, near(MIB)),
    ("ecc.current", "ecc_mode/current_ecc", on, same),
    ("ecc.pending", "ecc_mode/pending_ecc", on, same),
    ("ecc_uncorrected_volatile", "ecc_errors/volatile/dram_uncorrectable", int, same),
    ("ecc_uncorrected_aggregate", "ecc_errors/aggregate/dram_uncorrectable", int, same),
    ("ecc_corrected_volatile", "ecc_errors/volatile/dram_correctable", int, same),
    ("sram_threshold_exceeded", "ecc_errors/aggregate/sram_threshold_exceeded", on, same),
    ("remapped_rows.correctable", "remapped_rows/remapped_row_corr", int, same),
    ("remapped_rows.uncorrectable", "remapped_rows/remapped_row_unc", int, same),
    ("remapped_rows.pending", "remapped_rows/remapped_row_pending", on, same),
    ("remapped_rows.failure", "remapped_rows/remapped_row_failure", on, same),
    ("retired_pages", "retired_pages/double_bit_retirement/retired_count", int, same),
    ("recovery_action", "gpu_recovery_action", str.lower, same),
    ("compute_mode", "compute_mode", lambda text: text.lower().replace(" ", "_"), same),
    ("temperature", "temperature/gpu_temp", number, near(5)),
    ("power", "gpu_power_readings/average_power_draw", number, near(60)),
    ("power_limit", "gpu_power_readings/current_power_limit", number, near(0.5)),
    ("power_limit_default", "gpu_power_readings/default_power_limit", number, near(0.5)),
    ("persistence", "persistence_mode", on, same),
    ("mig.current", "mig_mode/current_mig", on, same),
    ("mig.pending", "mig_mode/pending_mig", on, same),
    ("pcie.max_generation", "pci/pci_gpu_link_info/pcie_gen/max_link_gen", int, same),
    ("pcie.generation", "pci/pci_gpu_link_info/pcie_gen/current_link_gen", int, same),
    ("pcie.max_width", "pci/pci_gpu_link_info/link_widths/max_link_width", lambda text: int(text.rstrip("x")), same),
    ("pcie.width", "pci/pci_gpu_link_info/link_widths/current_link_width", lambda text: int(text.rstrip("x")), same),
    ("pcie.replays", "pci/replay_counter", int, same),
    ("fabric.state", "fabric/state", lambda text: text.lower().replace(" ", "_"), same),
    ("gsp_firmware", "gsp_firmware_version", str, same),
]  # fmt: skip


def compared(record: Any, smi: ET.Element) -> Iterator[tuple[str, Any, Any, bool]]:
    driver = record.nvidia
    yield from _text("driver_version", driver.driver_version.value, smi.findtext("driver_version"))
    yield from _text("cuda_version", driver.cuda_version.value, smi.findtext("cuda_version"))
    yield from _text("GPUs", str(len(record.gpus)), smi.findtext("attached_gpus"))
    for gpu, told in zip(record.gpus, smi.findall("gpu"), strict=True):
        for field, path, read, agree in FIELDS:
            yield _field(f"GPU {gpu.index} {field}", _value(gpu, field), told.findtext(path) or "", read, agree)
        address = (told.findtext("pci/pci_bus_id") or "").lower()[4:]
        yield from _text(f"GPU {gpu.index} pci_address", gpu.pci_address.value, address)
        yield from _text(
            f"GPU {gpu.index} processes", _count(gpu.processes.value), len(told.findall("processes/process_info"))
        )
        yield from _links(gpu)


def _count(values: Any) -> int:
    return len(values or ())


def _links(gpu: Any) -> Iterator[tuple[str, Any, Any, bool]]:
    """NVLinks as `nvidia-smi nvlink --status` has them: a line with a speed for each that is up."""
    done = subprocess.run(["nvidia-smi", "nvlink", "--status", "-i", str(gpu.index)], capture_output=True, text=True)
    up = sum("GB/s" in line for line in done.stdout.splitlines())
    links = gpu.nvlinks.value or ()
    yield from _text(f"GPU {gpu.index} NVLinks up", sum(link.active for link in links), up)
    done = subprocess.run(["nvidia-smi", "nvlink", "-e", "-i", str(gpu.index)], capture_output=True, text=True)
    errors = sum(int(line.rsplit(":", 1)[1]) for line in done.stdout.splitlines() if "Errors:" in line)
    yield from _text(f"GPU {gpu.index} NVLinks' errors", sum(link.errors.value or 0 for link in links), errors)


def _text(name: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any, bool]]:
    yield name, ours, theirs, ours == theirs


def _value(gpu: Any, field: str) -> Any:
    """The value of a field, None where the record has none: not supported, or unknown."""
    for name in field.split("."):
        gpu = getattr(gpu, name) if gpu is not None else None
        gpu = gpu.value if hasattr(gpu, "state") and hasattr(gpu, "known") else gpu
    return gpu


def _field(
    name: str, ours: Any, text: str, read: Callable[[str], Any], agree: Callable[[Any, Any], bool]
) -> tuple[str, Any, Any, bool]:
    if text in NOT_THERE:
        return name, ours, text or "not told", ours is None
    theirs = read(text)
    return name, ours, theirs, ours is not None and agree(ours, theirs)


def of_torch(record: Any) -> Iterator[tuple[str, Any, Any, bool]]:
    """Each PyTorch of the host, imported by its own Python, beside what was read without importing it."""
    for torch in record.torches.value or ():
        python = Path(torch.path) / "bin" / "python3"
        if torch.place != "host" or not python.exists():
            continue
        told = json.loads(subprocess.run([str(python), "-c", TORCH], check=True, capture_output=True).stdout)
        cudnn = "".join(f"{int(part):0{width}}" for part, width in zip(torch.cudnn.split("."), (1, 2, 2), strict=False))
        yield from _text(f"{torch.path} version", torch.version.split("+")[0], told["version"].split("+")[0])
        yield from _text(f"{torch.path} cuda", torch.cuda, told["cuda"])
        yield f"{torch.path} cudnn", torch.cudnn, told["cudnn"], int(cudnn) == told["cudnn"]
        yield from _text(f"{torch.path} nccl", torch.nccl, ".".join(map(str, told["nccl"])))
        ours = sorted(torch.architectures.value or ())
        yield from _text(f"{torch.path} architectures", ours, sorted(told["architectures"]))


def main() -> int:
    (host,) = load(Path(sys.argv[1])).hosts
    smi = ET.fromstring(subprocess.run(["nvidia-smi", "-q", "-x"], check=True, capture_output=True).stdout)
    rows = [*compared(host.record, smi), *of_torch(host.record)]
    for name, ours, theirs, agrees in rows:
        print(f"{'ok ' if agrees else 'NOT'}  {name:<42} {ours!s:<40} {theirs}")
    wrong = sum(not agrees for *_, agrees in rows)
    print(f"{len(rows)} fields compared, {wrong} not as nvidia-smi or PyTorch has them")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
