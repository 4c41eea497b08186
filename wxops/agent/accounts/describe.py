"""An account's change as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict


def difference(title: str, before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, str]:
    """The fields that differ. An account that does not exist has none; what a check cannot know is left out."""
    old, new = (_fields(state) for state in (before, after))
    return {
        "before_header": title, "after_header": title,
        "before": "".join("%s: %s\n" % pair for pair in old.items() if pair not in new.items()),
        "after": "".join("%s: %s\n" % pair for pair in new.items() if pair not in old.items()),
    }  # fmt: skip


def _fields(state: Dict[str, Any]) -> Dict[str, str]:
    if not state["exists"]:
        return {}
    return {
        key: ",".join(value) if isinstance(value, list) else str(value)
        for key, value in sorted(state.items())
        if key != "exists" and value not in ("", -1, None, [])
    }
