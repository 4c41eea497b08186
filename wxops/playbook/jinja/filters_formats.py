"""Filters between data and text: JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import yaml

from wxops.playbook.jinja.lazy import plain
from wxops.playbook.jinja.undefined import Undefined


def to_json(
    value: Any, *, vault_to_text: bool = True, preprocess_unsafe: bool = True, separators: Any = None, **options: Any
) -> str:
    """JSON on one line. `vault_to_text` and `preprocess_unsafe` are accepted and always hold."""
    chosen = tuple(separators) if separators else None
    return json.dumps(plain(value), default=_json_of, separators=chosen, **options)


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, **options: Any) -> str:
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def _json_of(value: Any) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def from_json(value: Any, **options: Any) -> Any:
    return json.loads(value, **options)


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper for the variables of templates: what stands in them twice is written once, with an anchor."""


_Dumper.add_multi_representer(str, lambda dumper, value: dumper.represent_str(str(value)))
_Dumper.add_multi_representer(list, lambda dumper, value: dumper.represent_list(value))
_Dumper.add_multi_representer(range, lambda dumper, value: dumper.represent_list(value))
_Dumper.add_multi_representer(dict, lambda dumper, value: dumper.represent_dict(value))
_Dumper.add_multi_representer(Mapping, lambda dumper, value: dumper.represent_dict(value))  # type: ignore[type-abstract]
_Dumper.add_multi_representer(Undefined, lambda dumper, value: dumper.represent_str(str(value)))


def to_yaml(value: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    return _dumped(value, default_flow_style=default_flow_style, **options)


def to_nice_yaml(value: Any, indent: int = 4, default_flow_style: bool | None = False, **options: Any) -> str:
    return _dumped(value, indent=indent, default_flow_style=default_flow_style, **options)


def _dumped(value: Any, *, vault_behavior: Any = None, redact_sensitive_values: Any = None, **options: Any) -> str:
    text = str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, **options))
    return text.removesuffix("...\n")  # the end of a document, which PyYAML writes after a bare value


def from_yaml(value: Any) -> Any:
    """The document in a text; a value that is no text is taken as data already."""
    return yaml.load(value, Loader=yaml.CSafeLoader) if isinstance(value, str) else value


def from_yaml_all(value: Any) -> Any:
    return list(yaml.load_all(value, Loader=yaml.CSafeLoader)) if isinstance(value, str) else value


FILTERS: dict[str, Callable[..., Any]] = {
    "from_json": from_json,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_yaml": to_yaml,
}
