"""What people need of a task's result: its message, its values, its difference. For all consoles."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

HIDDEN = frozenset({"diff", "steps", "ms", "ansible_facts", "_include", "_meta", "_cacheable", "invocation",
                    "stdout_lines", "stderr_lines", "exception"})  # fmt: skip
LONGEST_ITEM = 200
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def failure(result: Mapping[str, Any]) -> str:
    """The message, and which command it was and what it said."""
    parts = [str(result.get("msg", ""))]
    if result.get("rc") and result.get("cmd"):
        command = result["cmd"]
        parts.append(f"exit {result['rc']}: {command if isinstance(command, str) else shlex.join(map(str, command))}")
    for name in ("stderr", "stdout"):
        if result.get(name):
            parts.append(f"{name}: {result[name]}")
    return "\n  ".join(part for part in parts if part) or as_text(visible(result))


def visible(result: Mapping[str, Any], changed: bool = True) -> dict[str, Any]:
    """The values that a module returned, without those that are shown elsewhere."""
    return {name: value for name, value in result.items() if name not in HIDDEN and (changed or name != "changed")}


def as_text(value: Any) -> str:
    return json.dumps(value, indent=4, default=str, ensure_ascii=False)


def short(value: Any) -> str:
    """An item of a loop on one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_ITEM else text[:LONGEST_ITEM] + "..."


def printable(text: str) -> str:
    """A host's text without what moves the cursor, changes colours or turns text around on the operator's terminal."""
    return CONTROLS.sub(lambda found: ascii(found.group())[1:-1], text)
