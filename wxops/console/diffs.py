"""Before and after as a unified diff."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

LIMIT = 200_000


def unified(diffs: Any) -> Iterator[str]:
    """Lines of all diffs in a task's result."""
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if isinstance(diff, Mapping):
            yield from _one(diff)


def _one(diff: Mapping[str, Any]) -> Iterator[str]:
    if "prepared" in diff:
        yield from str(diff["prepared"]).splitlines()
        return
    before, after = _text(diff.get("before", "")), _text(diff.get("after", ""))
    if len(before) + len(after) > LIMIT:
        yield f"{diff.get('after_header', '')}: too large to show ({len(before)} -> {len(after)} characters)"
        return
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"before: {diff.get('before_header', '')}",
        f"after: {diff.get('after_header', '')}", lineterm="",
    )  # fmt: skip
    yield from lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, sort_keys=True, default=str)
