"""Which keyword may stand where, and its type: an unknown one is refused with its place, never passed over."""

from __future__ import annotations

from typing import Any

from wxops.errors import InputError, Origin, nearest
from wxops.playbook.keyword_types import check_type
from wxops.playbook.source import SourceDict, SourceList

COMMON = frozenset(
    {
        "name",
        "when",
        "tags",
        "vars",
        "environment",
        "module_defaults",
        "collections",
        "debugger",
        "become",
        "become_user",
        "become_method",
        "become_flags",
        "become_exe",
        "remote_user",
        "port",
        "connection",
        "timeout",
        "delegate_to",
        "delegate_facts",
        "run_once",
        "no_log",
        "ignore_errors",
        "ignore_unreachable",
        "any_errors_fatal",
        "throttle",
        "check_mode",
        "diff",
        "notify",
    }
)
PLAY = (COMMON - {"when", "notify", "delegate_to", "delegate_facts"}) | {
    "hosts", "gather_facts", "gather_subset", "gather_timeout", "fact_path", "vars_files", "vars_prompt", "serial",
    "strategy", "order", "force_handlers", "max_fail_percentage", "pre_tasks", "roles", "tasks", "post_tasks",
    "handlers",
}  # fmt: skip
BLOCK = COMMON | {"block", "rescue", "always"}
TASK = COMMON | {
    "action", "local_action", "args", "loop", "loop_control", "register", "until", "retries", "delay", "changed_when",
    "failed_when", "listen", "rollback", "async", "poll",
}  # fmt: skip
INCLUDE = frozenset({
    "name", "when", "tags", "vars", "run_once", "no_log", "ignore_errors", "timeout", "collections", "action",
    "local_action", "args", "loop", "loop_control", "register", "notify", "listen",
})  # fmt: skip
ROLE = COMMON | {"role"}
META = COMMON | {"allow_duplicates", "argument_specs", "dependencies", "galaxy_info"}
LOOP_CONTROL = frozenset({"loop_var", "index_var", "label", "pause", "extended", "extended_allitems", "break_when"})

LISTS = frozenset({"tasks", "pre_tasks", "post_tasks", "handlers", "roles", "block", "rescue", "always"})
MAPPINGS = frozenset({"vars", "loop_control"})

NOT_YET = frozenset({"debugger"})
NOT_WANTED = (None, "never")
"""What may be said of these: that they are not wanted."""


def check(mapping: SourceDict, known: frozenset[str], what: str, also: frozenset[str] = frozenset()) -> None:
    """Refuse keywords that are not known, and values that are not of their type. Raises InputError."""
    for key, value in mapping.items():
        if key not in known and key not in also:
            raise unknown(str(key), known, what, mapping.at(key))
        if key in NOT_YET and value not in NOT_WANTED:
            said = f"the keyword {key!r} of {_one(what)} is Ansible's, but wxops does not have it yet"
            raise InputError(said, where=mapping.at(key))
        if key in LISTS and value is not None and not isinstance(value, SourceList):
            raise InputError(f"{key} of {_one(what)} should be a list", where=mapping.at(key))
        if key in MAPPINGS and value is not None and not isinstance(value, SourceDict):
            raise InputError(f"{key} of {_one(what)} should be a mapping", where=mapping.at(key))
        if key not in also:  # a module may be called as a keyword is: gather_facts
            check_type(key, value, mapping.at(key))


def unknown(key: str, known: frozenset[str], what: str, where: Origin) -> InputError:
    return InputError(f"{_one(what)} has no keyword {key!r}", where=where, fix=nearest(key, sorted(known)))


def mapping_at(value: Any, what: str, where: Origin | None) -> SourceDict:
    if not isinstance(value, SourceDict):
        raise InputError(f"{_one(what)} should be a mapping, not {value!r}", where=getattr(value, "origin", where))
    return value


def _one(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
