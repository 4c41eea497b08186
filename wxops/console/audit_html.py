"""An audit as one page that needs nothing else: the fleet as hosts by components, and each host in detail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from wxops.audit.finding import Finding, Verdict
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, HostAudit
from wxops.audit.rule import AREAS, Rule, rules
from wxops.console.audit_table import OTHERS, PROBLEMS, WORDS, counted
from wxops.console.results import printable

PAGE = Path(__file__).parent / "pages" / "audit.html.j2"


@dataclass(frozen=True)
class Cell:
    """One component of one host: the worst verdict on it, what there is, and how much is to be done."""

    area: str
    verdict: str
    word: str
    text: str
    problems: int


@dataclass(frozen=True)
class Row:
    """One host of the matrix; `id` is the anchor of its detail."""

    id: str
    host: HostAudit
    verdict: str
    word: str
    cells: tuple[Cell, ...]
    facts: tuple[tuple[str, str], ...]
    problems: tuple[tuple[Finding, Rule], ...]
    others: tuple[tuple[Finding, Rule], ...]

    def in_order(self, areas: Sequence[str]) -> list[Cell]:
        cells = {cell.area: cell for cell in self.cells}
        return [cells[area] for area in areas]


def text(audit: Audit) -> str:
    """The page. Everything that came from a host is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=True)  # fmt: skip
    environment.filters["printable"] = lambda value: printable(str(value))
    rows = [_row(at, host) for at, host in enumerate(sorted(audit.hosts, key=lambda host: host.gravity))]
    verdicts = [finding.verdict for host in audit.hosts for finding in host.findings]
    counts = [(verdict.value, WORDS[verdict], verdicts.count(verdict)) for verdict in Verdict]
    areas = _areas(rows)
    template = environment.from_string(PAGE.read_text(encoding="utf-8"))
    return template.render(audit=audit, rows=rows, areas=areas, counts=counts, words=WORDS)


def _areas(rows: Sequence[Row]) -> list[str]:
    """Columns of the matrix: not those in which every host was skipped; what has most to be done stands first."""
    said = {area: [cell for row in rows for cell in row.cells if cell.area == area] for area in AREAS}
    kept = [area for area in AREAS if any(cell.verdict not in ("none", "skipped") for cell in said[area])]
    return sorted(kept, key=lambda area: -sum(cell.problems > 0 for cell in said[area]))


def _row(at: int, host: HostAudit) -> Row:
    known = {rule.id: rule for rule in rules()}
    told = [(finding, known[finding.rule]) for finding in host.findings]
    return Row(
        id=f"host-{at}",
        host=host,
        verdict=host.verdict.value,
        word=WORDS[host.verdict],
        cells=tuple(_cell(host, area) for area in AREAS),
        facts=tuple(_facts(host.record)) if host.record else (),
        problems=tuple(pair for pair in told if pair[0].verdict in PROBLEMS),
        others=tuple(pair for pair in told if pair[0].verdict not in PROBLEMS),
    )


def _cell(host: HostAudit, area: str) -> Cell:
    found = [finding.verdict for finding in host.findings if finding.area == area]
    worst = min(found, key=lambda verdict: verdict.rank, default=None)
    there = COMPONENTS.get(area)
    return Cell(
        area=area,
        verdict=worst.value if worst else "none",
        word=WORDS[worst] if worst else "",
        text=there(host.record) if there and host.record else "",
        problems=sum(verdict in PROBLEMS for verdict in found),
    )


def _facts(record: HostRecord) -> Iterator[tuple[str, str]]:
    """What the host is, as name and value."""
    yield "System", f"{record.system.os_name}, kernel {record.system.kernel}"
    for name, area in (("Driver", "driver"), ("GPUs", "hardware"), ("CUDA toolkits", "toolkit"), ("cuDNN", "cudnn"),
                       ("PyTorch", "torch"), ("Containers", "container")):  # fmt: skip
        told = COMPONENTS[area](record)
        if told:
            yield name, told
    for note in record.notes:
        yield "Note", note


def _driver(record: HostRecord) -> str:
    if record.nvidia is None:
        told = [f"{OTHERS[other.vendor]} {other.driver.value}" for other in record.others if other.driver.value]
        return ", ".join(told) or "none"
    version, cuda = record.nvidia.driver_version.value, record.nvidia.cuda_version.value
    return f"{version or record.nvidia.error or 'unknown'}{f' (CUDA {cuda})' if cuda else ''}"


def _gpus(record: HostRecord) -> str:
    others = [(other.vendor, gpu.name.value) for other in record.others for gpu in other.gpus.value or ()]
    names = [gpu.name.value or "unknown" for gpu in record.gpus]
    return counted([*names, *(name or OTHERS[vendor] for vendor, name in others)])


def _toolkits(record: HostRecord) -> str:
    return ", ".join(f"{each.version}{' (in use)' if each.in_use else ''}" for each in record.toolkits.value or ())


def _cudnn(record: HostRecord) -> str:
    copies = [library.version for library in record.libraries.value or () if library.name == "cudnn"]
    return ", ".join(dict.fromkeys(copies))


def _torches(record: HostRecord) -> str:
    return ", ".join(dict.fromkeys(torch.version for torch in record.torches.value or ()))


def _containers(record: HostRecord) -> str:
    runtime = record.runtime.value
    if runtime is None:
        return ""
    parts = {"docker": runtime.docker, "podman": runtime.podman, "toolkit": runtime.toolkit}
    return ", ".join(f"{name} {version}" for name, version in parts.items() if version)


COMPONENTS: dict[str, Callable[[HostRecord], str]] = {
    "driver": _driver, "hardware": _gpus, "toolkit": _toolkits, "cudnn": _cudnn, "torch": _torches,
    "container": _containers,
    "host": lambda record: record.system.os_name,
}  # fmt: skip
