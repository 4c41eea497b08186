"""YAML as an operator wrote it: values that remember their file, line and column.

A string read here is a `SourceStr`. Only such strings are templates: what a host, a fact or a lookup
returns is a plain `str` and is never evaluated, as in ansible-core 2.19.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Self

import yaml

from wxops.errors import InputError, Origin


class SourceStr(str):
    """Text from a file of the operator's, trusted as a template."""

    __slots__ = ("origin",)
    origin: Origin

    def __new__(cls, text: str, origin: Origin) -> Self:
        self = super().__new__(cls, text)
        self.origin = origin
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.origin))


class KeywordStr(SourceStr):
    """A template behind a keyword, with what holds where it comes to `omit`: what stands around it, if anything."""

    __slots__ = ("otherwise",)
    otherwise: Any

    def __new__(cls, text: str, origin: Origin, otherwise: Any = None) -> KeywordStr:
        self = super().__new__(cls, text, origin)
        self.otherwise = otherwise
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.origin, self.otherwise))


class VaultStr(SourceStr):
    """Ciphertext after `!vault`; decrypted only when a template asks for it."""

    __slots__ = ()


class SourceDict(dict[Any, Any]):
    """A mapping; `at(key)` is where that key stands."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self.origin = origin
        self.keys_at: dict[Any, Origin] = {}

    def at(self, key: Any) -> Origin:
        return self.keys_at.get(key, self.origin)


class SourceList(list[Any]):
    """A sequence; `origin` is its first line."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self.origin = origin


def origin_of(value: Any, default: Origin | None = None) -> Origin | None:
    """Where a value was written, for values that remember it."""
    return getattr(value, "origin", default)


def load_file(path: str | Path) -> Any:
    """The one document in a YAML file; None for an empty one. Raises InputError with the place."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text ({error.reason} at byte {error.start})", where=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return load_text(text, str(path))


def load_text(text: str, name: str, line: int = 0) -> Any:
    """The one document in `text`; `name` and `line` (lines before it) make its places."""
    loader = _Loader(text)
    loader.file, loader.first_line = name, line
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Origin(name, mark.line + 1 + line, mark.column + 1) if mark else name
        problem = error.problem or error.context or "bad YAML"
        raise InputError(f"not valid YAML: {problem}", where=where, fix=_hint(text, mark)) from None
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {error}", where=name) from None
    finally:
        loader.dispose()


def _hint(text: str, mark: yaml.Mark | None) -> str | None:
    """The line at fault, and the usual reason when it shows one."""
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return None
    line = lines[mark.line]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "YAML indents with spaces; this line has a tab"
    if ": {{" in line or "- {{" in line:
        return f'quote a value that begins with a template: "{{{{ ... }}}}" in: {line.strip()}'
    return f"in: {line.strip()}"


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader (YAML 1.1, as Ansible reads it), with places."""

    file: str = "<text>"
    first_line: int = 0

    def origin(self, node: yaml.Node) -> Origin:
        return Origin(self.file, node.start_mark.line + 1 + self.first_line, node.start_mark.column + 1)

    def text(self, node: yaml.ScalarNode) -> SourceStr:
        return SourceStr(node.value, self.origin(node))

    def vault(self, node: yaml.ScalarNode) -> VaultStr:
        return VaultStr(node.value, self.origin(node))

    def unsafe(self, node: yaml.Node) -> Any:
        """`!unsafe`: text that must reach the host with its braces."""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.SequenceNode):
            return _plain(self.construct_sequence(node, deep=True))
        return _plain(self.construct_mapping(node, deep=True))  # type: ignore[arg-type]

    def sequence(self, node: yaml.SequenceNode) -> Iterator[SourceList]:
        data = SourceList(self.origin(node))
        yield data
        data.extend(self.construct_object(child) for child in node.value)

    def mapping(self, node: yaml.MappingNode) -> Iterator[SourceDict]:
        data = SourceDict(self.origin(node))
        yield data
        written_here = {id(key) for key, _ in node.value}
        seen: set[Any] = set()
        self.flatten_mapping(node)  # what `<<` merges comes first, so that the mapping's own keys win
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _at(key_node, "a key must be a plain value (quote a template)")
            if key in seen:
                raise _at(key_node, f"the key {key!r} stands here twice (first on line {data.at(key).line})")
            if id(key_node) in written_here:
                seen.add(key)
            data[key] = self.construct_object(value_node)
            data.keys_at[key] = self.origin(key_node)


def _at(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _plain(value: Any) -> Any:
    """The same value as plain str, list and dict: no longer a template."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.text)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.sequence)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
_Loader.add_constructor("!vault", _Loader.vault)
_Loader.add_constructor("!unsafe", _Loader.unsafe)
