"""Filters on dictionaries and lists of them: merging, turning, taking apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jinja2
from jinja2 import pass_environment
from jinja2.filters import sync_do_groupby
from jinja2.runtime import Undefined as AnyUndefined

from wxops.errors import TemplateError, nearest
from wxops.playbook.jinja.convert import text_of
from wxops.playbook.jinja.undefined import Undefined, type_name

_LIST_MERGES = ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> dict[Any, Any]:
    """Dictionaries merged into one; the later wins."""
    if list_merge not in _LIST_MERGES:
        raise ValueError(f"there is no list_merge {list_merge!r}: {nearest(list_merge, list(_LIST_MERGES))}")
    result: dict[Any, Any] = {}
    for each in flatten(list(terms)):
        if isinstance(each, AnyUndefined):
            str(each)
        if not isinstance(each, Mapping):
            raise TypeError(f"it merges dictionaries, not {type_name(each)}")
        result = _merged(result, each, recursive, list_merge)
    return result


def _merged(base: Mapping[Any, Any], over: Mapping[Any, Any], recursive: bool, lists: str) -> dict[Any, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        if recursive and isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(known, value, recursive, lists)
        elif isinstance(known, list) and isinstance(value, list):
            merged[key] = _merged_lists(known, value, lists)
        else:
            merged[key] = value
    return merged


def _merged_lists(base: list[Any], over: list[Any], how: str) -> list[Any]:
    if how in ("replace", "keep"):
        return over if how == "replace" else base
    if how == "append":
        return [*base, *over]
    if how == "prepend":
        return [*over, *base]
    if how == "append_rp":
        return [*(item for item in base if item not in over), *over]
    return [*over, *(item for item in base if item not in over)]


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"it takes a dictionary, not {type_name(value)}")
    return [{key_name: key, value_name: item} for key, item in value.items()]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"it takes a list, not {type_name(value)}")
    for item in value:
        absent = [name for name in (key_name, value_name) if not isinstance(item, Mapping) or name not in item]
        if absent:
            raise ValueError(f"each item must have {key_name!r} and {value_name!r}: {item!r} has no {absent[0]!r}")
    return {item[key_name]: item[value_name] for item in value}


def flatten(value: Any, levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    """A list with the lists in it dissolved, to a depth of `levels`."""
    result: list[Any] = []
    for item in value:
        if skip_nulls and (item is None or (isinstance(item, str) and item in ("None", "null"))):
            continue
        if isinstance(item, (list, tuple)) and (levels is None or int(levels) >= 1):
            result += flatten(item, None if levels is None else int(levels) - 1, skip_nulls)
        else:
            result.append(item)
    return result


def subelements(value: Any, subelements: Any, skip_missing: bool = False) -> list[tuple[Any, Any]]:
    """Each element with each element of a list that it holds: `users | subelements('keys')`."""
    if not isinstance(value, (Mapping, list, tuple)):
        raise TypeError(f"it takes a dictionary or a list, not {type_name(value)}")
    path = subelements.split(".") if isinstance(subelements, str) else subelements
    if not isinstance(path, (list, tuple)):
        raise TypeError(f"the sub-element is a name or a list of names, not {type_name(subelements)}")
    elements = list(value.values()) if isinstance(value, Mapping) else value
    return [(element, each) for element in elements for each in _list_at(element, path, skip_missing)]


def _list_at(element: Any, path: Iterable[str], skip_missing: bool) -> list[Any]:
    found = element
    for name in path:
        if not isinstance(found, Mapping):
            raise TypeError(f"{name!r} is read from a {type_name(found)}, which must be a dictionary")
        if name not in found:
            if skip_missing:
                return []
            raise ValueError(f"an element has no {name!r}; skip_missing=True leaves it out")
        found = found[name]
    if not isinstance(found, (list, tuple)):
        raise TypeError(f"what is at {'.'.join(path)!r} must be a list, not {type_name(found)}")
    return list(found)


@pass_environment
def extract(environment: jinja2.Environment, item: Any, container: Any, morekeys: Any = None) -> Any:
    """`'name' | extract(dictionary)`: made for map(); an undefined key gives an undefined value."""
    keys = [item, *(morekeys if isinstance(morekeys, (list, tuple)) else [] if morekeys is None else [morekeys])]
    value = container
    for key in keys:
        value = environment.getitem(value, key)
    return value


def rekey_on_member(value: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    """A dictionary or list of dictionaries as a dictionary by one of their members."""
    if duplicates not in ("error", "overwrite"):
        raise ValueError(f"duplicates must be error or overwrite, not {duplicates!r}")
    if not isinstance(value, (Mapping, list, tuple)):
        raise TypeError(f"it takes a dictionary or a list, not {type_name(value)}")
    result: dict[Any, Any] = {}
    for item in value.values() if isinstance(value, Mapping) else value:
        if not isinstance(item, Mapping):
            raise TypeError(f"each item must be a dictionary, not {type_name(item)}")
        if key not in item:
            raise ValueError(f"an item has no {key!r}")
        if item[key] in result and duplicates == "error":
            raise ValueError(f"{item[key]!r} is the {key!r} of two items")
        result[item[key]] = item
    return result


@pass_environment
def groupby(environment: jinja2.Environment, value: Any, attribute: Any, *more: Any, **options: Any) -> list[Any]:
    return sync_do_groupby(environment, value, attribute, *more, **options)


def ternary(value: Any, true_val: Any, false_val: Any, none_val: Any = None) -> Any:
    if value is None and none_val is not None:
        return none_val
    return true_val if bool(value) else false_val


def mandatory(value: Any, msg: str | None = None) -> Any:
    """The value, which must be there."""
    if isinstance(value, Undefined):
        named = f" {value._undefined_name!r}" if value._undefined_name is not None else ""
        raise TemplateError(text_of(msg) if msg is not None else f"the mandatory variable{named} is not defined")
    return value


def type_debug(value: Any) -> str:
    return "Undefined" if isinstance(value, AnyUndefined) else type_name(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "combine": combine,
    "dict2items": dict2items,
    "extract": extract,
    "flatten": flatten,
    "groupby": groupby,
    "items2dict": items2dict,
    "mandatory": mandatory,
    "rekey_on_member": rekey_on_member,
    "subelements": subelements,
    "ternary": ternary,
    "type_debug": type_debug,
}
