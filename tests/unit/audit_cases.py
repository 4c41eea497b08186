"""Records of hosts from YAML: a healthy host of data/audit/hosts.yaml, and what is different on it in a case."""

from __future__ import annotations

import copy
import dataclasses
import functools
import types
import typing
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from wxops.audit.demand import Demand
from wxops.audit.finding import Finding
from wxops.audit.knowledge import Knowledge
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord
from wxops.audit.rule import Rule
from wxops.audit.tables import Tables

DATA = Path(__file__).parent / "data" / "audit"
TODAY = date(2026, 11, 30)
NOT_READ = {"unknown", "not_supported"}


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of a rule.

    host: a name of hosts.yaml. set: a path ("nvidia.gpus.0.ecc", "*" for all of a list) -> what is there instead.
    verdict, subject, evidence, fix: of the worst finding (of those whose subject has these words), words to be in it.
    """

    rule: str
    name: str
    verdict: str
    host: str = "h100"
    set: dict[str, Any] = dataclasses.field(default_factory=dict)
    subject: str = ""
    evidence: str = ""
    fix: str = ""
    today: str = TODAY.isoformat()
    policies: typing.Sequence[str] = ("guide",)
    demand: dict[str, Any] | None = None

    def findings(self, rule: Rule, tables: Tables | None = None) -> list[Finding]:
        """The worst first. tables: others than those that wxops brings."""
        demand = Demand(**self.demand) if self.demand else None
        known = knowledge(tuple(self.policies), demand, date.fromisoformat(self.today))
        known = dataclasses.replace(known, tables=tables) if tables else known
        return sorted(rule.findings(host(self.host, self.set), known), key=lambda finding: finding.verdict.rank)


@functools.cache
def knowledge(policies: tuple[str, ...], demand: Demand | None, today: date) -> Knowledge:
    return Knowledge.of(policies, demand, today)


@functools.cache
def cases() -> list[Case]:
    """All of them, a file an area: a rule's id -> its cases."""
    return [
        Case(rule, **case)
        for path in sorted(DATA.glob("rules_*.yaml"))
        for rule, found in _read(path).items()
        for case in found
    ]


def _read(path: Path) -> dict[str, Any]:
    return typing.cast("dict[str, Any]", yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader))


@functools.cache
def hosts() -> dict[str, Any]:
    return _read(DATA / "hosts.yaml")


def host(name: str, changes: dict[str, Any] | None = None) -> HostRecord:
    """The record of a healthy host, with changes."""
    raw = copy.deepcopy(hosts()["hosts"][name])
    _unfold(raw)
    for path, value in (changes or {}).items():
        _set(raw, path.split("."), copy.deepcopy(value))
    return typing.cast(HostRecord, build(HostRecord, {"host": name, **raw}))


def _unfold(raw: dict[str, Any]) -> None:
    """`gpu: [KIND, COUNT]` is that many GPUs of a kind, in NVML and on the PCI bus."""
    kind, count = raw.pop("gpu", (None, 0))
    for index in range(count):
        address = f"00000000:{0x10 + index:02x}:00.0"
        gpu = {
            "index": index,
            "uuid": f"GPU-{index:08x}",
            "pci_address": address,
            **copy.deepcopy(hosts()["gpus"][kind]),
        }
        raw["nvidia"].setdefault("gpus", []).append(gpu)
        raw.setdefault("pci", []).append(
            {"address": address, "vendor": "10de", "device": "2330", "driver": "nvidia", "width": 16, "max_width": 16}
        )


def _set(here: Any, path: list[str], value: Any) -> None:
    key, rest = path[0], path[1:]
    if key == "*":
        for index in range(len(here)):
            _set(here, [str(index), *rest], value)
    elif isinstance(here, list):
        if rest:
            _set(here[int(key)], rest, value)
        else:
            here[int(key)] = value
    elif rest:
        _set(here.setdefault(key, {}), rest, value)
    else:
        here[key] = value


def build(kind: Any, raw: Any) -> Any:
    """Plain values as a typed one; a Reading is written as its value, or as {unknown: why} or {not_supported: why}."""
    origin = typing.get_origin(kind)
    if origin is Reading:
        if isinstance(raw, dict) and len(raw) == 1 and set(raw) <= NOT_READ:
            ((state, why),) = raw.items()
            return Reading(None, state, why)
        return Reading(build(typing.get_args(kind)[0], raw))
    if origin in (types.UnionType, typing.Union):
        return None if raw is None else build(next(a for a in typing.get_args(kind) if a is not type(None)), raw)
    if origin is tuple:
        return tuple(build(typing.get_args(kind)[0], each) for each in raw)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return typing.cast(Any, kind)(**{key: build(hints[key], value) for key, value in raw.items()})
    return raw
