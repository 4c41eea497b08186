"""The arguments of a task as they stand in YAML: after the module's name, in `args`, and in module_defaults."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from wxops.errors import InputError, MissingModule, Origin
from wxops.playbook.defaults import merged
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.reckoning import refusing
from wxops.playbook.signature import Signature
from wxops.playbook.source import SourceDict, SourceStr
from wxops.playbook.words import words


def action_of(mapping: SourceDict, key: str) -> tuple[str, Any]:
    """`action: module args` or a mapping with `module`: the module's name and its arguments."""
    value = mapping[key]
    if isinstance(value, SourceDict) and "module" in value:
        rest = SourceDict(value.origin)
        rest.update({k: v for k, v in value.items() if k not in ("module", "args")})
        rest.keys_at.update(value.keys_at)
        if isinstance(value.get("args"), SourceDict):
            rest.update(value["args"])
            rest.keys_at.update(value["args"].keys_at)
        return str(value["module"]), rest
    text = str(value)
    first = next(words(text), None)  # a template may stand for the name
    if first is None:
        return "", None
    free = text[first.end :].strip()
    return first.text, SourceStr(free, mapping.at(key)) if free else None


def template_apart(
    signature: Signature, value: Any, mapping: SourceDict
) -> tuple[Any, SourceDict, tuple[SourceStr, ...]]:
    """A template that stands for arguments beside others: what is said in so many words comes over what it gives.

    Returns what stands behind the module's name and the task without it, and the template.
    """
    extra = mapping.get("args")
    if isinstance(extra, SourceStr) and _is_one_template(extra) and value:
        return value, without_args(mapping), (extra,)
    if extra and isinstance(value, SourceStr) and _is_one_template(value) and signature.free_form is None:
        return extra, without_args(mapping), (value,)
    return value, mapping, ()


def is_open(arguments: Any, default: Sequence[Any]) -> bool:
    """Must a host be known before defaults and arguments can be put together?"""
    return bool(default) and not all(isinstance(each, SourceDict) for each in (arguments, *default))


def arguments_of(
    signature: Signature, value: Any, mapping: SourceDict, where: Origin, default: Sequence[Any], may_fail: bool
) -> Any:
    """The task's arguments over its defaults, checked as far as they are not templates; one may stand for them all.

    may_fail: what is wrong in them is left for the task to fail with.
    """
    extra = mapping.get("args")
    whole = extra if isinstance(extra, SourceStr) else value
    if isinstance(whole, SourceStr) and _is_one_template(whole) and signature.free_form is None:
        return whole
    given = SourceDict(where)
    if isinstance(value, SourceDict):
        given.update(value)
        given.keys_at.update(value.keys_at)
    elif isinstance(value, str) and value:
        text = SourceStr(value, getattr(value, "origin", where))
        with refusing(unless=may_fail):
            given.update(signature.free(text, where))
        if not given:
            given["_raw_params"] = text  # which no module takes that could not make anything of it
    elif value is not None and value != "":
        raise InputError(f"{signature.module} takes a mapping of arguments, not {value!r}", where=where)
    if isinstance(extra, SourceDict):
        given.update(extra)
        given.keys_at.update(extra.keys_at)
    elif extra is not None:
        raise InputError("`args` should be a mapping", where=mapping.at("args"))
    with refusing(unless=may_fail):
        signature.check_each(given, where, may_be_anything)
    if is_open(given, default):
        return given
    whole = merged(default, given) if default else given
    with refusing(unless=may_fail):
        signature.check(whole, where, may_be_anything)
    return whole


def _is_one_template(text: str) -> bool:
    """`{{ all_of_them }}`, but not `{{ name }}=value`."""
    with contextlib.suppress(ValueError):
        return text.startswith("{{") and all(word.pair is None for word in words(text))
    return text.startswith("{{")


def may_be_anything(value: Any) -> bool:
    """Can this only be judged when it has been rendered?"""
    if isinstance(value, str):
        return has_template(value)
    if isinstance(value, dict):
        return any(may_be_anything(item) for item in value.values())
    return isinstance(value, list) and any(may_be_anything(item) for item in value)


def named_later(name: str, value: Any, mapping: SourceDict, where: Origin) -> SourceDict:
    """`action: "{{ package_manager }}"`: arguments of the module that takes the other module's name."""
    given = SourceDict(where)
    arguments = SourceDict(where)
    own = as_mapping(value, where) or {}
    arguments.update({"_raw_params": own} if isinstance(own, str) else own)
    arguments.update(mapping.get("args") or {})
    given.update({"module": SourceStr(name, where), "arguments": arguments})
    return given


def named_missing(missing: MissingModule, where: Origin) -> SourceDict:
    """Arguments of the module that stands for one that is not here."""
    given = SourceDict(where)
    given["said"] = str(missing)
    return given


def without_args(mapping: SourceDict, name: str | None = None) -> SourceDict:
    """A task without `args`. name: what it is called if it says nothing else."""
    rest = SourceDict(mapping.origin)
    rest.update({key: value for key, value in mapping.items() if key != "args"})
    if name is not None:
        rest.setdefault("name", name)
    rest.keys_at.update(mapping.keys_at)
    return rest


def as_mapping(value: Any, where: Origin) -> Any:
    """`import_role: name=x tasks_from=y` as a mapping; what is none stays as it is."""
    if not isinstance(value, str) or any(word.pair is None for word in words(value)):
        return value
    pairs = SourceDict(where)
    pairs.update({key: SourceStr(text, where) for key, text in (word.pair or ("", "") for word in words(value))})
    return pairs
