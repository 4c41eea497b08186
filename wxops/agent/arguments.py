"""Types that a module's signature may name beyond Python's own; the controller checks arguments by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Union

    Path = str  # a path on the host; `~` and $VARIABLES are expanded there
    Mode = Union[int, str]  # 420, "0644" or "u=rw,g=r"
    Raw = Any  # taken as it is
