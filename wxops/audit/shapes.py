"""Models and engines of models.yaml: shapes by name or from a checkpoint, and what each engine needs."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wxops.audit.demand import Precision
from wxops.audit.sizing import Shape, ShapeError, shape_of
from wxops.audit.tables import convert
from wxops.audit.versions import Version
from wxops.errors import InputError, nearest

FILE = Path(__file__).parent / "models.yaml"


@dataclass(frozen=True, kw_only=True)
class PrecisionNeed:
    """A precision that an engine has. feature: what the GPU must have for it; or_else: with this it goes slower."""

    precision: Precision
    feature: str = ""
    or_else: str = ""


@dataclass(frozen=True, kw_only=True)
class EngineNeed:
    """What an engine runs on. cc: just these compute capabilities; families: of models that it is known to serve."""

    name: str
    source: str
    families: tuple[str, ...]
    memory_fraction: float
    beside_gib: float
    splits: bool
    precisions: tuple[PrecisionNeed, ...]
    min_cc: Version | None = None
    cc: tuple[Version, ...] = ()

    def runs_on(self, cc: Version) -> bool:
        return (self.min_cc is None or cc >= self.min_cc) and (not self.cc or cc in self.cc)

    def needs(self, precision: str) -> PrecisionNeed | None:
        return next((each for each in self.precisions if each.precision == precision), None)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What models.yaml holds."""

    models: tuple[Shape, ...]
    engines: tuple[EngineNeed, ...]

    def engine(self, name: str) -> EngineNeed:
        """Raises InputError for an engine that there is not."""
        for each in self.engines:
            if each.name == name:
                return each
        raise InputError(f"there is no engine {name!r}", fix=nearest(name, [each.name for each in self.engines]))


@functools.cache
def catalogue() -> Catalogue:
    raw = yaml.load(FILE.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return convert({"models": raw["models"], "engines": raw["engines"]}, Catalogue, FILE)


@functools.cache
def shape(model: str) -> Shape:
    """A model by its name, or by a directory with a config.json. Raises InputError for one that there is not."""
    wanted = model.casefold()
    for each in catalogue().models:
        if wanted in (each.name, *(name.casefold() for name in each.also)):
            return each
    config = Path(model) / "config.json"
    if config.is_file():
        return from_config(_read(config), config)
    known = [each.name for each in catalogue().models]
    raise InputError(f"there is no model {model!r}, and no directory with a config.json", fix=nearest(wanted, known))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"it is no JSON: {error}", where=str(path), fix="take it from the checkpoint") from None
    if not isinstance(raw, dict):
        raise InputError("it is no JSON object", where=str(path), fix="take it from the checkpoint")
    return raw


def from_config(raw: Mapping[str, Any], path: Path) -> Shape:
    """The shape in a config.json as transformers writes it. Raises InputError with the key that is missing."""
    try:
        return shape_of(raw, path.parent.name, str(path))
    except ShapeError as error:
        raise InputError(str(error), where=str(path), fix="take it from the checkpoint") from None
