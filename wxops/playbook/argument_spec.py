"""Arguments held against a specification, as roles have one in meta/argument_specs.yml: types, choices, companions.

A specification is a mapping of names to `type`, `required`, `default`, `choices`, `elements`, `aliases`, `options`...
The sentences are Ansible's own, since playbooks read them in `argument_errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wxops.playbook.argument_types import TYPES, converted
from wxops.playbook.signature import FALSE, TRUE

Spec = Mapping[str, Any]
BOOLEANS = {"False": FALSE, "True": TRUE}


def problems(spec: Spec, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the arguments, a sentence each; nothing when they are as they should be."""
    found = _Findings()
    _Level(spec, {}, (), found).check(dict(given))
    return [*found.problems, *found.of_unknown_names()]


def secrets(spec: Spec, given: Mapping[str, Any]) -> Iterator[Any]:
    """The values of arguments that the specification says must not be shown."""
    for name, about in spec.items():
        value = given.get(name)
        if value is not None and about.get("no_log"):
            yield value
        for inner in _dicts(value) if about.get("options") else []:
            yield from secrets(about["options"], inner)


@dataclass
class _Findings:
    """What was found at all depths. unknown: names that no specification has -> the names that it does have."""

    problems: list[str] = field(default_factory=list)
    unknown: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def of_unknown_names(self) -> list[str]:
        if not self.unknown:
            return []
        names, aliases = self.unknown[max(self.unknown)]
        known = ", ".join(sorted(names)) + (f" ({', '.join(sorted(aliases))})" if aliases else "")
        return [f"{', '.join(sorted(self.unknown))}. Supported parameters include: {known}."]


@dataclass
class _Level:
    """One specification: the outermost, or the `options` of an argument. rules: what that argument says of them all."""

    spec: Spec
    rules: Mapping[str, Any]
    path: tuple[str, ...]
    found: _Findings

    def check(self, given: dict[str, Any]) -> None:
        self._names(given)
        self._exclusive(given)
        self._defaults(given, only_said=True)
        self._missing(given)
        for name, about in self.spec.items():
            if name in given:
                self._type(name, about, given)
        for name, about in self.spec.items():
            if name in given and about.get("choices") is not None:
                self._choice(name, about["choices"], given)
        self._together(given)
        self._defaults(given, only_said=False)
        for name, about in self.spec.items():
            self._options(name, about, given)

    def _say(self, problem: str) -> None:
        where = f" found in {' -> '.join(self.path)}" if self.path else ""
        self.found.problems.append(problem + where)

    def _names(self, given: dict[str, Any]) -> None:
        """Aliases get their argument's name; a name that is neither is noted."""
        for name, about in self.spec.items():
            if about.get("required") and about.get("default") is not None:
                self.found.problems.append(f"internal error: required and default are mutually exclusive for {name}")
        aliases = {alias: name for name, about in self.spec.items() for alias in about.get("aliases") or ()}
        for alias, name in aliases.items():
            if alias in given:
                given[name] = given[alias]
        for name in given:
            if name not in self.spec and name not in aliases:
                self.found.unknown[".".join((*self.path, str(name)))] = (list(self.spec), list(aliases))

    def _defaults(self, given: dict[str, Any], only_said: bool) -> None:
        for name, about in self.spec.items():
            if name not in given and (about.get("default") is not None or not only_said):
                given[name] = about.get("default")

    def _missing(self, given: Mapping[str, Any]) -> None:
        missing = sorted(name for name, about in self.spec.items() if about.get("required") and name not in given)
        if missing:
            self._say(f"missing required arguments: {', '.join(missing)}")

    def _type(self, name: str, about: Mapping[str, Any], given: dict[str, Any]) -> None:
        value, kind = given[name], about.get("type") or "str"
        if value is None and not about.get("required") and about.get("default") is None:
            return
        try:
            given[name] = converted(value, kind)
        except TypeError as error:
            found = f" found in '{' -> '.join(self.path)}'." if self.path else ""
            said = f"argument '{name}' is of type {_type_of(value)}{found}"
            self.found.problems.append(f"{said} and we were unable to convert to {kind}: {error}")
            return
        if about.get("elements"):
            given[name] = list(self._elements(name, given[name], about["elements"]))

    def _elements(self, name: str, values: Any, kind: str) -> Iterator[Any]:
        for value in values if isinstance(values, list) else []:
            try:
                yield converted(value, kind)
            except TypeError as error:
                found = f" found in '{' -> '.join(self.path)}'" if self.path else ""
                self.found.problems.append(
                    f"Elements value for option '{name}'{found} is of type {_type_of(value)} "
                    f"and we were unable to convert to {kind}: {error}"
                )

    def _choice(self, name: str, choices: Sequence[Any], given: dict[str, Any]) -> None:
        value, shown = given[name], ", ".join(map(str, choices))
        if isinstance(value, list):
            strange = [each for each in value if each not in choices]
            if strange:
                none_of = ", ".join(map(str, strange))
                self._say(f"value of {name} must be one or more of: {shown}. Got no match for: {none_of}")
        elif value not in choices and len(BOOLEANS.get(str(value), frozenset()) & {*map(str, choices)}) != 1:
            self._say(f"value of {name} must be one of: {shown}, got: {value}")

    def _options(self, name: str, about: Mapping[str, Any], given: dict[str, Any]) -> None:
        kind, options = about.get("type"), about.get("options")
        if options is None or not (kind == "dict" or (kind == "list" and about.get("elements") == "dict")):
            return
        if given.get(name) is None:
            if not about.get("apply_defaults"):
                return
            given[name] = {}
        inner = _Level(options, about, (*self.path, name), self.found)
        for each in given[name] if isinstance(given[name], list) else [given[name]]:
            if isinstance(each, Mapping):
                inner.check(dict(each))
            else:
                self.found.problems.append(f"value of '{name}' must be of type dict or list of dicts")

    # -- what goes together: said of the options of an argument -------------------------------------------------------

    def _exclusive(self, given: Mapping[str, Any]) -> None:
        clashes = ["|".join(names) for names in self._groups("mutually_exclusive") if len(_said(names, given)) > 1]
        if clashes:
            self._say(f"parameters are mutually exclusive: {', '.join(clashes)}")

    def _together(self, given: Mapping[str, Any]) -> None:
        for names in self._groups("required_together"):
            if 0 < len(_said(names, given)) < len(names):
                self._say(f"parameters are required together: {', '.join(names)}")
                break
        for names in self._groups("required_one_of"):
            if not _said(names, given):
                self._say(f"one of the following is required: {', '.join(names)}")
                break
        self._required_if(given)
        self._required_by(given)

    def _required_if(self, given: Mapping[str, Any]) -> None:
        for name, value, names, *rest in self.rules.get("required_if") or ():
            is_any = bool(rest and rest[0])
            lacking = [each for each in names if each not in given]
            if name in given and given[name] == value and lacking and (not is_any or len(lacking) == len(names)):
                wanted = "any" if is_any else "all"
                self._say(f"{name} is {value} but {wanted} of the following are missing: {', '.join(lacking)}")
                return

    def _required_by(self, given: Mapping[str, Any]) -> None:
        for name, needed in (self.rules.get("required_by") or {}).items():
            names = [needed] if isinstance(needed, str) else needed
            lacking = [each for each in names if given.get(each) is None]
            if given.get(name) is not None and lacking:
                self._say(f"missing parameter(s) required by '{name}': {', '.join(lacking)}")
                return

    def _groups(self, rule: str) -> list[list[str]]:
        """A list of lists of names; one list of names stands for itself."""
        said = self.rules.get(rule) or []
        return [said] if said and isinstance(said[0], str) else list(said)


def check(spec: Any, where: str) -> str | None:
    """What is wrong with a specification itself; None when it can be used. where: its place in words."""
    if not isinstance(spec, Mapping):
        return f"{where} should be a mapping of arguments"
    for name, about in spec.items():
        if not isinstance(about, Mapping):
            return f"{where}: {name} should be a mapping, not {about!r}"
        for key in ("type", "elements"):
            if about.get(key) is not None and about[key] not in TYPES:
                return f"{where}: {name} has a {key} that is none: {about[key]!r} (known: {', '.join(TYPES)})"
        wrong = check(about["options"], f"{where}.{name}") if about.get("options") is not None else None
        if wrong:
            return wrong
    return None


def _said(names: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    return [name for name in names if name in given]


def _type_of(value: Any) -> str:
    return "NoneType" if value is None else next((k.__name__ for k in (bool, str, dict, list) if isinstance(value, k)),
                                                 type(value).__name__)  # fmt: skip


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Mapping))
