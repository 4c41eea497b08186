"""What can be wrong with a model directory, said so that an operator knows what to do."""

from __future__ import annotations

from pathlib import Path


class ModelError(Exception):
    """what: one sentence. where: the directory, or the file in it. fix: what to do about it."""

    def __init__(self, what: str, *, where: Path | str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  {self.fix}" if self.fix else ""
        return f"{place}{self.what}{remedy}"
