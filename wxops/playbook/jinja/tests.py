"""Tests (`is ...`) of ansible-core: results of tasks, versions, regular expressions, files on the controller."""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from wxops.errors import VaultError, nearest
from wxops.playbook.jinja.convert import text_of, truth
from wxops.playbook.jinja.evaluation import volatile
from wxops.playbook.jinja.lazy import DecryptedStr
from wxops.playbook.jinja.undefined import Failure, Undefined, type_name
from wxops.playbook.jinja.versions import compared
from wxops.playbook.vault import is_encrypted

Test = Callable[..., bool]


def _of_result(test: Callable[[Mapping[str, Any]], Any]) -> Test:
    """A test of what a task registered."""

    def check(result: Any) -> bool:
        if not isinstance(result, Mapping):
            raise TypeError(f"it takes the registered result of a task, not {type_name(result)}")
        return bool(test(result))

    return check


def _changed(result: Mapping[str, Any]) -> bool:
    if "changed" in result:
        return bool(result["changed"])
    each = result.get("results")
    return isinstance(each, list) and any(isinstance(item, Mapping) and item.get("changed") for item in each)


def _timed_out(result: Mapping[str, Any]) -> bool:
    return bool(result.get("timedout") and result["timedout"].get("period"))


def regex(
    value: Any = "", pattern: str = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    expression = re.compile(pattern, flags)
    found = {"search": expression.search, "match": expression.match, "fullmatch": expression.fullmatch}
    if match_type not in found:
        raise ValueError(f"there is no match_type {match_type!r}: {nearest(match_type, list(found))}")
    return bool(found[match_type](text_of(value)))


def match(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline, "match")


def search(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline)


def truthy(value: Any, convert_bool: bool = False) -> bool:
    """Whether Python takes a value for true; with convert_bool 'no' and 'off' are false."""
    word = truth(value) if convert_bool else None
    return bool(value) if word is None else word


def contains(value: Any, item: Any) -> bool:
    return item in value


def subset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    return set(value) <= set(other)


def superset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    return set(value) >= set(other)


def is_nan(value: Any) -> bool:
    try:
        return math.isnan(value)
    except TypeError:
        return False


def vault_encrypted(value: Any) -> bool:
    """Whether a variable was encrypted with !vault, opened or not."""
    if isinstance(value, Failure) and isinstance(value._error, VaultError):
        return True
    if isinstance(value, Undefined):
        str(value)
    return isinstance(value, DecryptedStr)


def vaulted_file(path: str) -> bool:
    volatile()
    with open(path, "rb") as file:
        return is_encrypted(file.read(64))


def _of_path(test: Callable[..., bool]) -> Test:
    """A test of the controller's files, which may differ the next time."""

    def check(*paths: Any) -> bool:
        volatile()
        return test(*(text_of(path) for path in paths))

    return check


def uri(value: Any, schemes: Any = None) -> bool:
    """Whether a text is a URI, of one of the schemes. Without schemes every text is one, as a relative reference."""
    try:
        parts = urlsplit(value)
    except (TypeError, ValueError, AttributeError):
        return False
    return isinstance(value, str) and (not schemes or parts.scheme in schemes)


def url(value: Any, schemes: Any = None) -> bool:
    """A URI with a host, or a file."""
    return uri(value, schemes) and (bool(urlsplit(value).netloc) or urlsplit(value).scheme == "file")


def urn(value: Any) -> bool:
    return uri(value, ["urn"])


TESTS: dict[str, Test] = {
    **dict.fromkeys(("failed", "failure"), _of_result(lambda result: result.get("failed"))),
    **dict.fromkeys(("success", "succeeded", "successful"), _of_result(lambda result: not result.get("failed"))),
    **dict.fromkeys(("changed", "change"), _of_result(_changed)),
    **dict.fromkeys(("skipped", "skip"), _of_result(lambda result: result.get("skipped"))),
    "unreachable": _of_result(lambda result: result.get("unreachable")),
    "reachable": _of_result(lambda result: not result.get("unreachable")),
    "timedout": _of_result(_timed_out),
    "started": _of_result(lambda result: result.get("started", True)),
    "finished": _of_result(lambda result: result.get("finished", True)),
    "match": match,
    "search": search,
    "regex": regex,
    **dict.fromkeys(("version", "version_compare"), compared),
    "any": lambda value: any(value),
    "all": lambda value: all(value),
    "truthy": truthy,
    "falsy": lambda value, convert_bool=False: not truthy(value, convert_bool),
    "contains": contains,
    **dict.fromkeys(("subset", "issubset"), subset),
    **dict.fromkeys(("superset", "issuperset"), superset),
    **dict.fromkeys(("nan", "isnan"), is_nan),
    "vault_encrypted": vault_encrypted,
    "vaulted_file": vaulted_file,
    **dict.fromkeys(("directory", "is_dir"), _of_path(os.path.isdir)),
    **dict.fromkeys(("file", "is_file"), _of_path(os.path.isfile)),
    **dict.fromkeys(("link", "is_link"), _of_path(os.path.islink)),
    **dict.fromkeys(("mount", "is_mount"), _of_path(os.path.ismount)),
    **dict.fromkeys(("same_file", "is_same_file"), _of_path(os.path.samefile)),
    **dict.fromkeys(("abs", "is_abs"), _of_path(os.path.isabs)),
    "exists": _of_path(os.path.exists),
    "link_exists": _of_path(os.path.lexists),
    "uri": uri,
    "url": url,
    "urn": urn,
}
