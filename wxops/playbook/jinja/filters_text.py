"""Filters on texts: regular expressions, encodings, quoting, comments, URLs."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from wxops.errors import nearest
from wxops.playbook.jinja.convert import boolean, text_of


def b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    data = value if isinstance(value, bytes) else text_of(value).encode(encoding, "surrogateescape")
    return (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(data).decode("ascii")


def b64decode(value: str, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    data = text_of(value).encode("ascii")
    return (base64.urlsafe_b64decode if urlsafe else base64.b64decode)(data).decode(encoding)


def _flags(ignorecase: Any, multiline: Any) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    """The text with matches replaced; fails unless there are `mandatory_count` of them."""
    expression = re.compile(pattern, _flags(ignorecase, multiline))
    result, replaced = expression.subn(replacement, text_of(value), count)
    if mandatory_count and replaced != mandatory_count:
        raise ValueError(f"{pattern!r} matched {replaced} times instead of {mandatory_count}")
    return result


def regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    found = re.findall(regex, text_of(value), _flags(ignorecase, multiline))
    return [list(each) if isinstance(each, tuple) else each for each in found]


def regex_search(value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """The first match, or None; with groups (`'\\1'`, `'\\g<name>'`) the list of them."""
    match = re.search(regex, text_of(value), _flags(ignorecase, multiline))
    if match is None:
        return None
    return [match.group(_group(each)) for each in groups] if groups else match.group()


def _group(reference: str) -> str | int:
    named = re.fullmatch(r"\\g<(\S+)>", reference)
    if named:
        return named[1]
    if re.fullmatch(r"\\\d+", reference):
        return int(reference[1:])
    raise ValueError(f"a group is written '\\\\1' or '\\\\g<name>', not {reference!r}")


def regex_escape(value: Any, re_type: str = "python") -> str:
    if re_type == "python":
        return re.escape(text_of(value))
    if re_type == "posix_basic":
        return re.sub(r"([].[^$*\\])", r"\\\1", text_of(value))
    raise ValueError(f"the kind of regular expression must be python or posix_basic, not {re_type!r}")


def quote(value: Any) -> str:
    """For a POSIX shell."""
    return shlex.quote("" if value is None else text_of(value))


def split(value: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    return value.split(separator, maxsplit)


def urldecode(value: str) -> str:
    return unquote_plus(value)


_URL_PARTS = ("fragment", "hostname", "netloc", "password", "path", "port", "query", "scheme", "username")


def split_url(value: str, query: str = "") -> Any:
    """The parts of a URL, or one of them."""
    parts = urlsplit(value)
    if query and query not in _URL_PARTS:
        raise ValueError(f"a URL has no part {query!r}: {nearest(query, list(_URL_PARTS))}")
    return getattr(parts, query) if query else {name: getattr(parts, name) for name in _URL_PARTS}


_COMMENTS: dict[str, dict[str, str]] = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}

_COMMENT_DEFAULTS = {"newline": "\n", "beginning": "", "end": "", "prefix_count": 1, "postfix_count": 1}


def comment(value: Any, style: str = "plain", **options: Any) -> str:
    """A text as a comment, between an empty line of it on either side."""
    if style not in _COMMENTS:
        raise ValueError(f"there is no comment style {style!r}: {nearest(style, list(_COMMENTS))}")
    chosen: dict[str, Any] = {**_COMMENT_DEFAULTS, **_COMMENTS[style]}
    edge = str(options.get("decoration", chosen["decoration"])).rstrip()
    chosen = {**chosen, "prefix": edge, "postfix": edge, **options}
    decoration, newline = chosen["decoration"], chosen["newline"]
    *lines, last_line = text_of(value).split(newline)
    lines = [*(f"{decoration}{line}" if line else edge for line in lines), f"{decoration}{last_line}"]
    before = [chosen["prefix"]] * int(chosen["prefix_count"]) if chosen["prefix"] else []
    after = [chosen["postfix"]] * int(chosen["postfix_count"])
    first = [chosen["beginning"]] if chosen["beginning"] else []
    last = [chosen["end"]] if chosen["end"] else []
    return str(newline.join([*first, *before, *lines, *after, *last]))


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "bool": boolean,
    "comment": comment,
    "quote": quote,
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "split": split,
    "urldecode": urldecode,
    "urlsplit": split_url,
}
