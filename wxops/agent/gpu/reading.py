"""How a value travels to the audit's record: what was read, or the state that says why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    Reading = Dict[str, Any]
    """value; or state (not_supported, unknown) and detail."""


def read(value: Any) -> Reading:
    return {"value": value}


def not_supported(detail: str) -> Reading:
    """The device or the driver does not have such a value."""
    return {"state": "not_supported", "detail": detail}


def unknown(detail: str) -> Reading:
    """The value could not be had."""
    return {"state": "unknown", "detail": detail}
