"""A policy: the versions that a team, a guide or an engine asks for, read from YAML and refused with its line if wrong.

name: guide
title: The floor of the guide
source: where the numbers come from
requires:
  cuda: {at_least: "11.8"}
  torch: {exactly: "2.14.0", needed: true, why: vLLM pins it}
  compute_capability: {one_of: ["8.0", "9.0"]}
  features: {has: [bf16]}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wxops.audit.tables import Status, Tables
from wxops.audit.versions import Version
from wxops.errors import InputError, Origin, nearest
from wxops.playbook.source import SourceDict, load_file

POLICIES = Path(__file__).parent / "policies"
COMPONENTS = {
    "driver": "NVIDIA's driver",
    "cuda": "the CUDA release of the driver, of toolkits in use and of PyTorch builds",
    "toolkit": "CUDA toolkits in use",
    "cudnn": "cuDNN, the system's and PyTorch's",
    "torch": "PyTorch",
    "nccl": "NCCL of PyTorch builds",
    "python": "the Python of PyTorch's environments",
    "compute_capability": "the GPUs' compute capability",
    "features": "what the GPUs can do, as the table features_by_cc has it",
    "container_toolkit": "the NVIDIA container toolkit",
}
KEYS = ("name", "title", "source", "requires")
BOUNDS = ("at_least", "below", "exactly", "one_of", "has")
MORE = ("needed", "why", "source", "status")


@dataclass(frozen=True)
class Requirement:
    """What a policy asks of one component. needed: a host without the component fails; otherwise it is skipped.

    status: as in the tables; only what is verified fails an audit. where: its place in the policy's file.
    """

    component: str
    at_least: Version | None = None
    below: Version | None = None
    exactly: Version | None = None
    one_of: tuple[Version, ...] = ()
    has: tuple[str, ...] = ()
    needed: bool = False
    status: Status = "verified"
    why: str = ""
    source: str = ""
    where: str = ""

    @property
    def certain(self) -> bool:
        return self.status == "verified"

    def met_by(self, found: Version) -> bool:
        """Whether a version is within the bounds; an exact one is met by its local builds (2.14.0+cu130), too."""
        return (
            (self.at_least is None or found >= self.at_least)
            and (self.below is None or found < self.below)
            and (self.exactly is None or found.starts_with(self.exactly))
            and (not self.one_of or found in self.one_of)
        )

    def __str__(self) -> str:
        """The bounds in words: "2.0 or later", "one of 8.0, 9.0"."""
        words = [f"{self.at_least} or later"] if self.at_least else []
        words += [f"older than {self.below}"] if self.below else []
        words += [f"{self.exactly}"] if self.exactly else []
        words += ["one of " + ", ".join(map(str, self.one_of))] if self.one_of else []
        words += [", ".join(self.has)] if self.has else []
        return " and ".join(words)


@dataclass(frozen=True)
class Policy:
    """Requirements under one name."""

    name: str
    title: str
    source: str
    requires: tuple[Requirement, ...]

    @classmethod
    def load(cls, name_or_path: str) -> Policy:
        """One that wxops brings, by its name, or a file. Raises InputError with file:line for what is wrong in it."""
        known = names()
        if name_or_path in known:
            return read(POLICIES / f"{name_or_path}.yaml")
        if Path(name_or_path).is_file():
            return read(Path(name_or_path))
        raise InputError(f"there is no policy {name_or_path!r}, and no such file", fix=nearest(name_or_path, known))

    def of(self, component: str) -> Requirement | None:
        return next((each for each in self.requires if each.component == component), None)


def names() -> list[str]:
    """The policies that wxops brings."""
    return sorted(path.stem for path in POLICIES.glob("*.yaml"))


def read(path: Path) -> Policy:
    """A policy file. Raises InputError for a wrong one, with its line and the nearest names."""
    raw = _mapping(load_file(path), Origin(str(path), 1), "a policy")
    _only(raw, KEYS, "a policy")
    for key in ("name", "requires"):
        if key not in raw:
            raise InputError(f"a policy needs {key!r}", where=raw.origin)
    requires = _mapping(raw["requires"], raw.at("requires"), "'requires'")
    _only(requires, tuple(COMPONENTS), "'requires'")
    return _policy(raw, tuple(_requirement(key, requires[key], requires.at(key)) for key in requires))


def _policy(raw: SourceDict, requires: tuple[Requirement, ...]) -> Policy:
    texts = {key: _text(raw[key], raw.at(key), key) for key in ("name", "title", "source") if key in raw}
    return Policy(texts["name"], texts.get("title", texts["name"]), texts.get("source", ""), requires)


def _requirement(component: str, value: Any, where: Origin) -> Requirement:
    spec = _mapping(value, where, f"{component!r}")
    _only(spec, (*BOUNDS, *MORE), f"{component!r}")
    bounds = [key for key in BOUNDS if key in spec]
    allowed = ("has",) if component == "features" else BOUNDS[:-1]
    for key in bounds:
        if key not in allowed:
            raise InputError(
                f"{component!r} cannot have {key!r}", where=spec.at(key), fix=f"it takes {', '.join(allowed)}"
            )
    if not bounds:
        raise InputError(f"{component!r} asks for nothing", where=where, fix=f"add one of {', '.join(allowed)}")
    words: dict[str, Any] = {}
    for key in spec:
        at, raw = spec.at(key), spec[key]
        if key == "one_of":
            words[key] = tuple(_version(each, at, key) for each in _list(raw, at, key))
        elif key == "has":
            words[key] = tuple(_feature(each, at) for each in _list(raw, at, key))
        elif key in BOUNDS:
            words[key] = _version(raw, at, key)
        elif key == "needed":
            if not isinstance(raw, bool):
                raise InputError(f"'needed' is true or false, not {raw!r}", where=at)
            words[key] = raw
        elif key == "status" and raw not in ("verified", "secondary", "unverified"):
            raise InputError(f"{raw!r} is no status", where=at, fix="verified, secondary or unverified")
        else:
            words[key] = _text(raw, at, key)
    return Requirement(component, where=str(where), **words)


def _mapping(value: Any, where: Origin, what: str) -> SourceDict:
    if not isinstance(value, SourceDict):
        raise InputError(f"{what} must be a mapping of keys to values", where=where)
    return value


def _only(raw: SourceDict, known: tuple[str, ...], what: str) -> None:
    for key in raw:
        if key not in known:
            raise InputError(f"{what} has no {key!r}", where=raw.at(key), fix=nearest(str(key), list(known)))


def _list(value: Any, where: Origin, key: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{key!r} is a list", where=where)
    return value


def _text(value: Any, where: Origin, key: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{key!r} is text, not {value!r}", where=where)
    return str(value)


def _version(value: Any, where: Origin, key: str) -> Version:
    """Numbers are refused: YAML makes 2.1 of 2.10."""
    if not isinstance(value, str):
        raise InputError(
            f"{key!r} is a version in quotes, not the number {value!r}", where=where, fix=f'write "{value}"'
        )
    try:
        return Version(str(value))
    except ValueError as error:
        raise InputError(str(error), where=where) from None


def _feature(value: Any, where: Origin) -> str:
    known = [row.feature for row in Tables.load().features]
    if value not in known:
        raise InputError(f"there is no feature {value!r}", where=where, fix=nearest(str(value), known))
    return str(value)
