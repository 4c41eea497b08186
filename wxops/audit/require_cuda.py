"""NVIDIA_REQUIRE_CUDA of an image: what it asks of the driver, as the container toolkit judges it at start.

`cuda>=13.0 brand=tesla,driver>=535,driver<536`: a space is "or", a comma is "and".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wxops.audit.versions import Version, version

CLAUSE = re.compile(r"(cuda|driver|brand|arch)(>=|<=|!=|=|>|<)(\S+)")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "=": operator.eq, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


@dataclass(frozen=True)
class Clause:
    """One comparison: `driver>=535`."""

    key: str
    sign: str
    value: str

    def holds(self, given: Given) -> bool:
        if self.key == "brand":
            return (self.value in given.brands) == (self.sign == "=")
        have = {"cuda": given.cuda, "driver": given.driver, "arch": given.arch}[self.key]
        wanted = version(self.value)
        if have is None or wanted is None:
            return False
        if self.sign == "=":
            return have.starts_with(wanted)
        return COMPARE[self.sign](have, wanted)

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"


@dataclass(frozen=True)
class Given:
    """What a host has: the driver's CUDA release and version, the brands its GPUs may go by, a compute capability."""

    cuda: Version | None
    driver: Version | None
    brands: tuple[str, ...] = ()
    arch: Version | None = None


@dataclass(frozen=True)
class Requirement:
    """Alternatives, each of clauses that must all hold."""

    alternatives: tuple[tuple[Clause, ...], ...]

    def holds(self, given: Given) -> bool:
        return any(all(clause.holds(given) for clause in clauses) for clauses in self.alternatives)

    @property
    def cuda(self) -> Version | None:
        """The CUDA release that is enough by itself."""
        found = [c.value for clauses in self.alternatives if len(clauses) == 1 for c in clauses if c.key == "cuda"]
        return version(found[0]) if found else None


def parse(text: str) -> Requirement:
    """Raises ValueError for a clause that is none."""
    return Requirement(tuple(tuple(_clause(each) for each in group.split(",")) for group in text.split()))


def _clause(text: str) -> Clause:
    found = CLAUSE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not cuda, driver, brand or arch compared with a value")
    return Clause(*found.groups())


def brands(name: str) -> tuple[str, ...]:
    """The brands that NVML may give a GPU of this name; newer data-center cards are "nvidia", older ones "tesla"."""
    for word, brand in (("GeForce", "geforce"), ("Quadro RTX", "quadrortx"), ("Quadro", "quadro"), ("TITAN", "titan")):
        if word.casefold() in name.casefold():
            return (brand,)
    if "RTX" in name:
        return ("nvidiartx", "nvidia")
    return ("tesla", "nvidia")
