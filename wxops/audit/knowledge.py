"""What rules judge by, besides the host's record: the tables, the policies that hold, and today's date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Knowledge:
    """today: what has reached its end of life is judged by it."""

    today: date
