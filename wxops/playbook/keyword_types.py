"""Keywords whose written value has a type: one that cannot be of it is refused before a host is touched."""

from __future__ import annotations

import re
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.signature import boolean

BOOLEANS = frozenset({
    "any_errors_fatal", "become", "check_mode", "delegate_facts", "diff", "force_handlers", "gather_facts",
    "ignore_errors", "ignore_unreachable", "no_log", "run_once",
})  # fmt: skip
NUMBERS = frozenset({"async", "delay", "gather_timeout", "poll", "port", "retries", "throttle", "timeout"})
PERCENTAGES = frozenset({"max_fail_percentage"})
TEXTS = frozenset({
    "become_user", "become_method", "become_exe", "connection", "delegate_to", "fact_path", "remote_user", "strategy",
    "order",
})  # fmt: skip
VARIABLE = re.compile(r"[^\W\d]\w*")


def check_type(key: str, value: Any, where: Origin) -> None:
    """Refuse a value that is written out and not of the keyword's type. A template is judged when it is rendered."""
    if value is None or (isinstance(value, str) and has_template(value)):
        return
    if key in BOOLEANS:
        try:
            boolean(value)
        except ValueError as error:
            raise InputError(f"{key} {error}", where=where) from None
    elif key in NUMBERS | PERCENTAGES:
        text = str(value).strip().removesuffix("%") if key in PERCENTAGES else str(value)
        if isinstance(value, (bool, list, dict)) or not re.fullmatch(r"\s*\d+(\.\d*)?\s*", text):
            raise InputError(f"{key} should be a number, 0 or more, not {value!r}", where=where)
    elif key in TEXTS and isinstance(value, (list, dict)):
        raise InputError(f"{key} should be a text, not {value!r}", where=where)
    elif key == "register" and not VARIABLE.fullmatch(str(value)):
        raise InputError(f"register should be the name of a variable, not {value!r}", where=where)
    elif key == "tags" and isinstance(value, dict):
        raise InputError(f"tags should be a list of names, not {value!r}", where=where)
