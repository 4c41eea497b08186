"""A module's interface, read from its function's signature: names, types, defaults and choices of its arguments."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Optional, Union, get_args, get_origin  # noqa: UP035  agent code names them

from wxops.errors import InputError, Origin, nearest
from wxops.playbook.jinja.lazy import plain
from wxops.playbook.source import SourceStr
from wxops.playbook.words import Word, words

COMMANDS = frozenset({"command", "shell", "raw"})
"""What they run is kept to its last newline, as Ansible tells it."""
TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
FALSE = frozenset({"n", "no", "off", "0", "false", "f"})


class Path(str):
    """Marks an argument that is a path on the host."""


class Mode(str):
    """Marks an argument that is a file mode."""


NAMES: dict[str, Any] = {
    "Any": Any, "Dict": Dict, "List": List, "Literal": Literal, "Optional": Optional, "Union": Union,  # noqa: UP006
    "Path": Path, "Mode": Mode, "Raw": Any, "str": str, "int": int, "bool": bool, "float": float, "dict": dict,
    "list": list, "None": None,
}  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """One argument of a module. `type` is a typing object; Any takes everything."""

    name: str
    type: Any
    required: bool
    default: Any = None

    @property
    def choices(self) -> tuple[Any, ...]:
        kind = _without_none(self.type)
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def type_name(self) -> str:
        """The type as `wxops doc` prints it."""
        kind = _without_none(self.type)
        if kind is Any:
            return "any"
        if get_origin(kind) is Literal:
            return " | ".join(str(choice) for choice in get_args(kind))
        inner = get_args(kind)
        base = {Path: "path", Mode: "mode"}.get(kind, getattr(get_origin(kind) or kind, "__name__", str(kind)))
        return f"{base} of {getattr(inner[0], '__name__', inner[0])}" if base == "list" and inner else str(base)


@dataclass(frozen=True)
class Signature:
    """A module's arguments by name.

    open: also takes names of the operator's own choosing (set_fact). raw: arguments that the module evaluates itself.
    instead: what to say for arguments that Ansible has deprecated, and that are refused.
    needs: Ansible's words for a missing argument, where they are not those of all modules.
    handed_on: arguments of the modules to one of which it hands on what it does not name itself.
    """

    module: str
    doc: str
    arguments: Mapping[str, Argument]
    aliases: Mapping[str, str]
    free_form: str | None
    open: bool
    raw: frozenset[str] = frozenset()
    instead: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None
    handed_on: Mapping[str, Argument] = field(default_factory=dict)

    @classmethod
    def of(cls, module: str, function: Callable[..., Any], names: Mapping[str, Any]) -> Signature:
        """Read a function; `names` are the globals of its file (ALIASES, FREE_FORM, RAW, INSTEAD, NEEDS, MORE, types).

        MORE: the functions to one of which it hands on what it does not name itself; without it `**` takes any name.
        """
        arguments, is_open = _arguments(function, names)
        more = names.get("MORE", ())
        handed_on = {k: v for other in more for k, v in _arguments(other, vars(inspect.getmodule(other)))[0].items()}
        free_form = names.get("FREE_FORM")
        raw, instead = names.get("RAW", frozenset()), names.get("INSTEAD", {})
        doc, aliases = inspect.getdoc(function) or "", names.get("ALIASES", {})
        needs = names.get("NEEDS")
        return cls(module, doc, arguments, aliases, free_form, is_open and not more, raw, instead, needs, handed_on)

    def free(self, text: str, where: Origin | None) -> dict[str, Any]:
        """Arguments from `module: text`: key=value pairs, or free-form text for the modules that take it."""
        if self.free_form is None:
            return _key_values(text, where, self.module)
        pairs: dict[str, Any] = {}
        rest, at, after_pair = "", 0, False
        # Ansible's own rule: key=value words that name an argument are arguments, the rest is the command. A pair takes
        # the blank before it and all after it away.
        for word in _words(text, where, self.module):
            key, value = word.pair or ("", "")
            between, at = _joined(text[at : word.start]), word.end
            if (
                key in self.arguments
                and not key.startswith("_")
                and (key != self.free_form or self.free_form == "file")
            ):
                pairs[key] = SourceStr(value, where) if where else value
                rest += "" if after_pair else between.removesuffix(" ")
                after_pair = True
            else:
                if after_pair:
                    between = "" if rest.endswith("\n") else " "
                rest, after_pair = rest + between + word.text, False
        rest = (rest if after_pair else rest + _joined(text[at:])).lstrip()
        rest = rest if self.module in COMMANDS else rest.rstrip()
        return {**pairs, **({self.free_form: SourceStr(rest, where) if where else rest} if rest else {})}

    def check(self, given: Mapping[str, Any], where: Origin | None, is_template: Callable[[Any], bool]) -> None:
        """Refuse, before any host is touched, what can be seen to be wrong. Raises InputError."""
        self.check_each(given, where, is_template)
        named = {self.aliases.get(name, name) for name in given}
        missing = [name for name, argument in self.arguments.items() if argument.required and name not in named]
        if missing:
            raise InputError(
                f"{self.module} needs {' and '.join(missing)}", where=where, fix=f"see: wxops doc {self.module}"
            )

    def check_each(self, given: Mapping[str, Any], where: Origin | None, is_template: Callable[[Any], bool]) -> None:
        """The same for some of the arguments: others may be given elsewhere."""
        for name, value in given.items():
            argument = self._argument(name, getattr(given, "at", lambda _: where)(name))
            if argument is not None and not is_template(value):
                self._coerce(argument, value, getattr(given, "at", lambda _: where)(name))

    def coerce(self, given: Mapping[str, Any], where: Origin | None) -> dict[str, Any]:
        """Templated values in the types that the function takes, under its own names.

        Raises InputError in the words that playbooks look for.
        """
        result: dict[str, Any] = {}
        for name, value in given.items():
            argument = self._argument(name, None) if self._knows(name) else None
            if argument is None and not self.open:
                raise InputError(f"Unsupported parameters for ({self.module}) module: {name}")
            if argument is None:
                result[name] = value
            elif value is not None or argument.required:
                result[argument.name] = self._coerce(argument, value, where)
        missing = [name for name, argument in self.arguments.items() if argument.required and name not in result]
        if missing:
            raise InputError(self.needs or f"missing required arguments: {', '.join(missing)}")
        return result

    def _knows(self, name: str) -> bool:
        known = self.aliases.get(name, name)
        return known in self.arguments or known in self.handed_on

    def _argument(self, name: str, where: Origin | None) -> Argument | None:
        known_as = self.aliases.get(name, name)
        argument = self.arguments.get(known_as) or self.handed_on.get(known_as)
        if argument is None and name in self.instead:
            raise InputError(f"{self.module}: {name} is deprecated in Ansible", where=where, fix=self.instead[name])
        if argument is None and not self.open:
            known = [known for known in [*self.arguments, *self.aliases] if not known.startswith("_")]
            raise InputError(f"{self.module} has no argument {name!r}", where=where, fix=nearest(str(name), known))
        return argument

    def _coerce(self, argument: Argument, value: Any, where: Origin | None) -> Any:
        try:
            return coerce(value, argument.type)
        except ValueError as error:
            raise InputError(f"{self.module}: {argument.name} {error}", where=where) from None


def _arguments(function: Callable[..., Any], names: Mapping[str, Any]) -> tuple[dict[str, Argument], bool]:
    """The arguments of a function after the first, and whether it takes others, too."""
    found, is_open = {}, False
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            is_open = True
            continue
        required = parameter.default is parameter.empty
        kind = eval(parameter.annotation, {**names, **NAMES})
        found[parameter.name] = Argument(parameter.name, kind, required, None if required else parameter.default)
    return found, is_open


def coerce(value: Any, kind: Any) -> Any:
    """A value as the type that a signature names, by Ansible's rules. Raises ValueError with what it should be."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else coerce(value, _without_none(kind))
    if kind is Any:
        return value
    if origin is Literal:
        return _choice(value, get_args(kind))
    if origin is list or kind is list:
        return [coerce(item, (get_args(kind) or (Any,))[0]) for item in _list(value)]
    if origin is dict or kind is dict:
        return _dict(value)
    if kind is Mode:
        return value if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if kind in (str, Path):
        return _text(value)
    return {bool: boolean, int: _integer, float: _float}[kind](value)


def boolean(value: Any) -> bool:
    """Ansible's truth: yes, no, on, off, true, false, 1, 0."""
    text = str(value).strip().lower()
    if text in TRUE or value == 1.0:
        return True
    if text in FALSE or value == 0.0:
        return False
    raise ValueError(f"should be true or false, not {value!r}")


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    if value in choices:
        return next(choice for choice in choices if choice == value)
    text = str(value)
    if isinstance(value, bool):  # YAML reads a bare yes or no as a truth value
        text = next((str(c) for c in choices if str(c).lower() in (TRUE if value else FALSE)), text)
    if text in map(str, choices):
        return next(choice for choice in choices if str(choice) == text)
    raise ValueError(f"should be one of {', '.join(map(str, choices))}, not {value!r}")


def _list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    if isinstance(value, int | float):
        return [value]
    raise ValueError(f"should be a list, not {value!r}")


def _dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except ValueError:
            loaded = _key_values(value, None, "")
        if isinstance(loaded, dict):
            return loaded
    raise ValueError(f"should be a mapping, not {value!r}")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, Mapping | list):
        return str(plain(value))  # as Python writes it, which is what Ansible's modules get
    raise ValueError(f"should be text, not {value!r}")


def _integer(value: Any) -> int:
    try:
        if isinstance(value, float) and value != int(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"should be a whole number, not {value!r}") from None


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"should be a number, not {value!r}") from None


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007  built at run time
    return kind


def _joined(between: str) -> str:
    """What stands between two words, without the backslash that makes one line of two."""
    return re.sub(r" ?\\\n( *)", lambda found: found[1] or " ", between)


def _key_values(text: str, where: Origin | None, module: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for word in _words(text, where, module):
        if word.pair is None:
            raise InputError(f"{module} takes key=value or a mapping, not {word.text!r}", where=where)
        key, value = word.pair
        pairs[SourceStr(key, where) if where else key] = SourceStr(value, where) if where is not None else value
    return pairs


def _words(text: str, where: Origin | None, module: str) -> list[Word]:
    try:
        return list(words(text))
    except ValueError as error:
        raise InputError(f"{module}: {error} in {text!r}", where=where) from None
