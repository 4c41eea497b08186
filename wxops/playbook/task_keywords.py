"""Keywords of a task that ask for more than a type: templates and conditions, loops, async."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from wxops.errors import InputError
from wxops.playbook import keywords
from wxops.playbook.plays import Loop, as_list
from wxops.playbook.signature import Signature
from wxops.playbook.source import SourceDict
from wxops.playbook.task_arguments import may_be_anything
from wxops.playbook.templating import check_condition, check_syntax

CONDITIONS = ("when", "until", "changed_when", "failed_when")


class ModuleInfo(Protocol):
    """What is asked of a module."""

    @property
    def name(self) -> str: ...

    @property
    def signature(self) -> Signature: ...

    @property
    def supports_async(self) -> bool: ...


def check_apply(arguments: SourceDict) -> None:
    """`apply` of an include takes what a block takes."""
    apply = arguments.get("apply")
    if isinstance(apply, SourceDict):
        keywords.check(apply, keywords.COMMON, "apply")
        check_templates(apply)


def check_async(mapping: SourceDict, module: ModuleInfo) -> None:
    limit = mapping.get("async")
    if limit and not module.supports_async and not (may_be_anything(limit) or str(limit) == "0"):
        fix = "only what runs wholly on the host can go on there by itself"
        raise InputError(f"{module.name} does not support async", where=mapping.at("async"), fix=fix)


def loop_of(mapping: SourceDict, lookup: str | None) -> Loop | None:
    control = mapping.get("loop_control") or SourceDict(mapping.origin)
    keywords.check(control, keywords.LOOP_CONTROL, "loop_control")
    if "loop" in mapping and lookup:
        raise InputError(f"a task has either `loop` or `{lookup}`", where=mapping.at(lookup))
    if "loop" not in mapping and not lookup:
        return None
    return Loop(
        terms=mapping[lookup or "loop"], lookup=lookup.removeprefix("with_") if lookup else None,
        variable=control.get("loop_var") or "item", index_variable=control.get("index_var"),
        label=control.get("label"), pause=control.get("pause"), extended=control.get("extended", False),
        extended_allitems=control.get("extended_allitems", True),
        break_when=tuple(as_list(control.get("break_when"))),
    )  # fmt: skip


def check_templates(mapping: Mapping[str, Any]) -> None:
    """Refuse templates and conditions that cannot be parsed."""
    inner = {"block", "rescue", "always", *CONDITIONS}
    check_syntax({key: value for key, value in mapping.items() if key not in inner})
    for name in CONDITIONS:
        if name in mapping:
            check_condition(mapping[name])
