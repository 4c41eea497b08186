"""Inventories in INI: `[group]` lists hosts, `[group:children]` groups and `[group:vars]` variables."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from typing import Any

from wxops.errors import InputError, Origin, nearest
from wxops.playbook.inventory_draft import Draft
from wxops.playbook.inventory_names import expand
from wxops.playbook.source import SourceDict, SourceList, SourceStr

_SECTION = re.compile(r"\[(?P<group>[^:\]\s]+)(?::(?P<kind>\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"(?P<name>[^:\]\s]+)\s*(?:#.*)?")
_KINDS = ["hosts", "children", "vars"]


def read_lines(text: str, draft: Draft, source: str, file: str) -> None:
    """Add what an INI inventory holds to the draft. Raises InputError with the line at fault."""
    _Reader(draft, source, file).read(text)


class _Reader:
    """One pass over the lines. A section may name groups that are declared below it.

    awaited:  children named before their section, with each parent; they join it when the section comes.
    referred: where each group was named that needs a section of its own.
    """

    def __init__(self, draft: Draft, source: str, file: str) -> None:
        self.draft, self.source, self.file = draft, source, file
        self.declared = set(draft.groups)
        self.awaited: dict[str, list[tuple[str, Origin]]] = {}
        self.referred: dict[str, tuple[Origin, str]] = {}

    def read(self, text: str) -> None:
        group, kind = "ungrouped", "hosts"
        for number, written in enumerate(text.splitlines(), start=1):
            line = written.strip()
            at = Origin(self.file, number, len(written) - len(written.lstrip()) + 1)
            if not line or line[0] in "#;":
                continue
            if line[0] == "[" and (match := _SECTION.fullmatch(line)):
                group, kind = match["group"], self._kind(match["kind"] or "hosts", at)
                self._open(group, kind, at)
            elif line[0] == "[" and line[-1] == "]":
                raise InputError(
                    f"{line} is not a section", where=at, fix="write [group] or [group:vars], without spaces"
                )
            else:
                self._entry(line, group, kind, at)
        for name, (at, section) in self.referred.items():
            if name not in self.declared:
                fix = nearest(name, sorted(self.declared - {"all", "ungrouped"})) if len(self.declared) > 2 else None
                raise InputError(f"[{section}] names {name!r}, and no such group is declared", where=at, fix=fix)

    def _kind(self, kind: str, at: Origin) -> str:
        if kind not in _KINDS:
            raise InputError(f"a section cannot be of kind {kind!r}", where=at, fix=nearest(kind, _KINDS))
        return kind

    def _open(self, group: str, kind: str, at: Origin) -> None:
        """`[group]` and `[group:children]` declare a group; `[group:vars]` only refers to one."""
        self.draft.add_group(group)
        if kind == "vars":
            self.referred.setdefault(group, (at, f"{group}:vars"))
            return
        self.declared.add(group)
        for parent, named_at in self.awaited.pop(group, []):
            self.draft.add_child(parent, group, named_at)

    def _entry(self, line: str, group: str, kind: str, at: Origin) -> None:
        if kind == "hosts":
            self._hosts(line, group, at)
        elif kind == "children":
            self._child(line, group, at)
        else:
            key, value = _pair(line, at)
            self.draft.set_group_variables(group, _placed({key.strip(): value.strip()}, at))

    def _hosts(self, line: str, group: str, at: Origin) -> None:
        try:
            written, *pairs = shlex.split(line, comments=True)
        except ValueError as error:
            raise InputError(f"this line has {str(error).lower()}", where=at, fix="close the quote") from None
        if written.strip() == "---":
            raise InputError("this looks like YAML", where=at, fix=f"rename {self.file} to end in .yml")
        names, port = expand(written, at)
        if written.endswith(":") and port is None:
            raise InputError(f"{written!r} lacks a port after its colon", where=at, fix="write HOST or HOST:PORT")
        variables = _placed(dict(_pair(pair, at) for pair in pairs), at)
        for name in names:
            self.draft.add_host(name, group, at, port, self.source)
            self.draft.set_host_variables(name, variables)

    def _child(self, line: str, group: str, at: Origin) -> None:
        match = _GROUP_NAME.fullmatch(line)
        if not match:
            raise InputError(f"{line!r} is not a group name", where=at, fix="below [...:children] goes one name a line")
        child = match["name"]
        self.referred.setdefault(child, (at, f"{group}:children"))
        if child in self.draft.groups:
            self.draft.add_child(group, child, at)
        else:
            self.awaited.setdefault(child, []).append((group, at))


def _pair(text: str, at: Origin) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("a word here is not name=value", where=at, fix="quote a value with spaces: name='a b'")
    return key, value


def _placed(pairs: dict[str, str], at: Origin) -> SourceDict:
    variables = SourceDict(at)
    for key, written in pairs.items():
        variables[key] = typed(written, at)
        variables.keys_at[key] = at
    return variables


def typed(written: str, at: Origin) -> Any:
    """A value as Ansible types it in INI: a Python literal when it is one, else text (`yes` and `0644` are text)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        value = written
    return _variable(value, at)


def _variable(value: Any, at: Origin) -> Any:
    """A literal as a variable can hold it: text that knows its place, lists for tuples and sets."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="surrogateescape")  # plain text, no template: as in Ansible
    if isinstance(value, complex) or value is ...:
        value = "..." if value is ... else str(value)
    if isinstance(value, str):
        return SourceStr(value, at)
    if isinstance(value, list | tuple | set):
        items = SourceList(at)
        items.extend(_variable(item, at) for item in (sorted(value, key=repr) if isinstance(value, set) else value))
        return items
    if isinstance(value, dict):
        mapping = SourceDict(at)
        mapping.update((_variable(key, at), _variable(item, at)) for key, item in value.items())
        return mapping
    return value
