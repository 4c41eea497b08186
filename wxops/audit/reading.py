"""One value as a host gave it, or why there is none: what is not supported is never taken for what is fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
State = Literal["read", "not_supported", "unknown"]


@dataclass(frozen=True)
class Reading(Generic[T]):
    """A value that was read, or the state that says why there is none.

    state: `read`; `not_supported`, the device or the driver does not have such a value; `unknown`, it could not be
    had. detail: why, in words (the error's name, the time that was waited, the permission that was lacking).
    """

    value: T | None = None
    state: State = "read"
    detail: str = ""

    @property
    def known(self) -> bool:
        return self.state == "read"


def unknown(detail: str = "it was not asked for") -> Reading[T]:
    """A value that could not be had, and why."""
    return Reading(None, "unknown", detail)
