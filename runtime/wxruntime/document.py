"""A YAML file read into a typed model: every mistake at once, each with its line and what was probably meant."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]  # keys and indices from the top of the file to a value


@dataclass(frozen=True, order=True, slots=True)
class Mistake:
    """One thing that is wrong with a file, lines and columns counted from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class DocumentError(Exception):
    """A file that cannot be used; holds all its mistakes, in the order of its lines."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class Document:
    """A YAML file's values, and where each of them stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self._marks: dict[Place, tuple[int, int]] = {(): (1, 1)}
        self.values: Any = self._read()

    def mistake(self, place: Place, message: str) -> None:
        """Note a mistake at `place`, or at what is nearest to it in the file."""
        self.mistakes.append(self.at(place, message))

    def at(self, place: Place, message: str) -> Mistake:
        """A message with the line of `place`, or of what is nearest to it in the file."""
        while place not in self._marks:
            place = place[:-1]
        return Mistake(str(self.path), *self._marks[place], message)

    def into(self, model: type[Model]) -> Model:
        """The values as `model`; a DocumentError with every mistake otherwise."""
        self._raise()
        try:
            return model.model_validate({} if self.values is None else self.values)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                place = tuple(each["loc"])
                if each["type"] == "extra_forbidden":
                    self.mistake(place, unknown(str(place[-1]), fields_at(model, place[:-1])))
                elif each["type"] == "missing":
                    self.mistake(place, f"{place[-1]!r} is missing here")
                else:
                    self.mistake(place, said(place, each["msg"], each["input"]))
        raise DocumentError(self.mistakes)

    def done(self) -> None:
        """Raise what `mistake` has noted, if anything."""
        self._raise()

    def _raise(self) -> None:
        if self.mistakes:
            raise DocumentError(self.mistakes)

    def _read(self) -> Any:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.mistake((), f"cannot be read: {reason}")
            return None
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else self._value(loader, node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.mistakes.append(Mistake(str(self.path), line, column, error.problem or "is not YAML"))
            return None
        except yaml.YAMLError as error:
            self.mistake((), f"is not YAML: {error}")
            return None
        finally:
            loader.dispose()

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, place: Place) -> Any:
        self._marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, item, (*place, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return loader.construct_object(node)
        loader.flatten_mapping(node)  # merges `<<`
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node)
            key = key if isinstance(key, str | int) else str(key)
            inner = (*place, key)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in values:
                self.mistakes.append(Mistake(str(self.path), *mark, f"{key!r} is here twice"))
            self._marks[inner] = mark
            values[key] = self._value(loader, value_node, inner)
        return values


def unknown(name: str, known: list[str]) -> str:
    """What to say about a name that nobody knows."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} is not known here; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")


def said(place: Place, message: str, given: Any) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    name = f"{place[-1]!r} " if place and isinstance(place[-1], str) else ""
    secret = "api_keys" in place  # somebody may have put the key itself there
    shown = (
        f" (it is {given!r})"
        if not secret and isinstance(given, str | int | float | bool) and len(str(given)) < 60
        else ""
    )
    return f"{name}{message}{shown}"


def fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The names that may stand in the mapping at `place` of a file that is read into `model`."""
    kinds: list[Any] = [model]
    for step in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    return [name for kind in kinds for name in getattr(kind, "model_fields", {})]


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    """What may stand under `step` in a value of `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if step in kind.model_fields:
            yield from _alternatives(kind.model_fields[str(step)].annotation)
    elif arguments := typing.get_args(kind):
        yield from _alternatives(arguments[-1])


def _alternatives(kind: Any) -> Iterator[Any]:
    """The members of a union; of another annotation, itself."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        for member in typing.get_args(kind):
            yield from _alternatives(member)
    elif typing.get_origin(kind) is typing.Annotated:
        yield from _alternatives(typing.get_args(kind)[0])
    else:
        yield kind
