"""Delimiters and rules for white space that a template may choose: as arguments of the template module, or as the
first line of a file, `#jinja2: variable_start_string: '[[', variable_end_string: ']]'`."""

from __future__ import annotations

import ast
from typing import Any

from wxops.errors import TemplateError, nearest

HEADER = "#jinja2:"

_TYPES: dict[str, type] = {
    **dict.fromkeys(("block_start_string", "block_end_string", "variable_start_string"), str),
    **dict.fromkeys(("variable_end_string", "comment_start_string", "comment_end_string"), str),
    **dict.fromkeys(("line_statement_prefix", "line_comment_prefix", "newline_sequence"), str),
    **dict.fromkeys(("trim_blocks", "lstrip_blocks", "keep_trailing_newline"), bool),
}
NAMES = tuple(_TYPES)


def from_header(text: str) -> tuple[str, dict[str, Any]]:
    """A template without its header, and what the header says."""
    if not text.startswith(HEADER):
        return text, {}
    line, newline, body = text.removeprefix(HEADER).partition("\n")
    if not newline:
        raise TemplateError(f"a line break must follow {HEADER} and its settings")
    return body, checked(dict(_setting(pair) for pair in line.split(",")))


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, if each has a known name and the right type."""
    for name, value in settings.items():
        if name not in _TYPES:
            raise TemplateError(f"there is no template setting {name!r}", fix=nearest(name, list(NAMES)))
        if not isinstance(value, _TYPES[name]):
            raise TemplateError(f"the template setting {name!r} must be a {_TYPES[name].__name__}, not {value!r}")
    if settings.get("newline_sequence", "\n") not in ("\n", "\r\n", "\r"):
        raise TemplateError("newline_sequence must be \\n, \\r\\n or \\r")
    return settings


def _setting(pair: str) -> tuple[str, Any]:
    name, colon, value = pair.partition(":")
    if not colon:
        raise TemplateError(f"Missing key-value separator in {pair.strip()!r}: {HEADER} takes `name: value` pairs")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        raise TemplateError(f"the value of {name.strip()!r} must be True, False or a quoted text") from None
