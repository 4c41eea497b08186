"""What is known of each engine: engines.yaml, flags.yaml, and of ../models.yaml what an audit judges by as well."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from wxruntime.profile.model import EngineName, Precision

HERE = Path(__file__).parent


class Known(BaseModel):
    """Rows of the tables; what only the other reader needs is passed over."""

    model_config = ConfigDict(frozen=True)


class PrecisionNeed(Known):
    """min_cc: what the GPU must have for it. or_else_cc: from here on it is slower, but served."""

    precision: Precision
    min_cc: str | None = None
    or_else_cc: str | None = None


class Versions(Known):
    oldest: str
    newest: str


class Engine(Known):
    """One engine. beside_gib: of each GPU for CUDA's context, activations and CUDA graphs.

    key_variable: of its environment, in which it takes the key that clients must name.
    """

    name: EngineName
    source: str
    versions: Versions | None = None
    since: dict[str, str] = {}
    image_needed: bool
    gpu_needed: bool
    cuda: str | None = None
    driver: str | None = None
    online: dict[Precision, str]
    formats: tuple[str, ...]
    reads: tuple[Precision, ...] = ()
    lacks: dict[str, str]
    own_flags: tuple[str, ...]
    secrets: tuple[str, ...]
    key_variable: str | None = None
    families: tuple[str, ...] = ()
    min_cc: str | None = None
    cc: tuple[str, ...] = ()
    beside_gib: float = 0.0
    precisions: tuple[PrecisionNeed, ...] = ()

    def runs_on(self, cc: str) -> bool:
        return (self.min_cc is None or number(cc) >= number(self.min_cc)) and (not self.cc or cc in self.cc)

    def offers(self, precision: Precision) -> bool:
        """Whether it makes a precision itself, or reads checkpoints that are quantized to it."""
        return precision in self.online or (bool(self.formats) and (not self.reads or precision in self.reads))

    def need(self, precision: Precision) -> PrecisionNeed:
        """What a precision needs of a GPU; nothing where no table says so."""
        found = (each for each in self.precisions if each.precision == precision)
        return next(found, PrecisionNeed(precision=precision))


def number(version: str) -> tuple[int, ...]:
    """A version that compares: 570.26 is older than 570.124."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@functools.cache
def engine(name: EngineName) -> Engine:
    rows: list[dict[str, Any]] = tables()["models"]["engines"]
    serving = next((row for row in rows if row["name"] == name), {})
    return Engine.model_validate({**serving, **tables()["engines"][name], "name": name})


def least_driver(cuda: str) -> str | None:
    """Of programs of a CUDA release; None for one of which that is not known."""
    driver: str | None = tables()["engines"]["drivers"].get(number(cuda)[0])
    return driver


class Flags(Known):
    """What the server of one release takes. exact: read from the release itself."""

    version: str
    exact: bool
    source: str
    names: frozenset[str]


@functools.cache
def flags(name: EngineName) -> Flags | None:
    """None for our own engines, of which flags.yaml says nothing."""
    row = tables()["flags"].get(name)
    return Flags.model_validate({**row, "names": row["flags"].split()}) if row else None


@functools.cache
def tables() -> dict[str, Any]:
    files = {"engines": HERE / "engines.yaml", "flags": HERE / "flags.yaml", "models": HERE.parent / "models.yaml"}
    return {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in files.items()}
