"""The template that is being evaluated: what it reads, and where a mistake in it stands in the operator's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import jinja2

from wxops.errors import Origin

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar

VOLATILE = "<volatile>"
"""Among the names that an evaluation read: its result may differ the next time (a lookup, the clock, chance)."""

_INLINE = "<template>"


class Evaluation:
    """One template under evaluation, and through `outer` the one whose variable it is.

    names: every variable that was read on the way, and VOLATILE.
    """

    __slots__ = ("names", "origin", "outer", "templar", "text", "variable")

    def __init__(self, templar: Templar, text: str, origin: Origin | None, variable: str | None = None) -> None:
        self.templar, self.text, self.origin, self.variable = templar, text, origin, variable
        self.outer = current.get()
        self.names: set[str] = set()

    def place(self, spot: Spot | None) -> Origin | None:
        """Where a line of this template, or of a file that it includes, stands."""
        if spot and spot.file:
            return Origin(spot.file, spot.line)
        return line_of(self.origin, self.text, spot.line if spot else 1)

    def text_at(self, spot: Spot | None) -> str | None:
        """The text of that line; None in a file that this template includes."""
        if spot and spot.file and not (self.origin and spot.file == self.origin.file):
            return None
        lines = self.text.splitlines() or [""]
        return lines[min(spot.line if spot else 1, len(lines)) - 1].strip()

    def outward(self) -> Iterator[Evaluation]:
        """This one, then the one that it is a part of, to the outermost."""
        evaluation: Evaluation | None = self
        while evaluation:
            yield evaluation
            evaluation = evaluation.outer

    def is_within_itself(self) -> bool:
        """Whether this text is being evaluated already, for itself."""
        return any(
            each.text is self.text and each.templar is self.templar for each in self.outward() if each is not self
        )

    def folders(self) -> list[Path]:
        """Where an included template is looked for first: beside the files that include it."""
        files = [each.origin.file for each in self.outward() if each.origin and each.variable is None]
        return [Path(file).parent for file in dict.fromkeys(files)]


current: ContextVar[Evaluation | None] = ContextVar("evaluation", default=None)


def volatile() -> None:
    """Tells that the current template may give another result the next time."""
    evaluation = current.get()
    if evaluation is not None:
        evaluation.names.add(VOLATILE)


class Spot:
    """A line in a template. Kept raw, because most of them are never asked for: an undefined value met by default()."""

    __slots__ = ("_line", "_template")

    def __init__(self, template: jinja2.Template, line: int) -> None:
        self._template, self._line = template, line

    @property
    def file(self) -> str | None:
        name = self._template.filename
        return None if name == _INLINE else name

    @property
    def line(self) -> int:
        return self._template.get_corresponding_lineno(self._line)


def spot_of_caller(frame: FrameType | None) -> Spot | None:
    """The template line that called, at any depth."""
    while frame:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return Spot(template, frame.f_lineno)
        frame = frame.f_back
    return None


def spot_of_error(trace: TracebackType | None) -> Spot | None:
    """The innermost template line in a traceback."""
    found = None
    while trace:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            found = Spot(template, trace.tb_lineno)
        trace = trace.tb_next
    return found


def line_of(origin: Origin | None, text: str, line: int) -> Origin | None:
    """The place of a line of `text`, which begins at `origin`.

    Text with line breaks is a YAML block: its first line stands below the one with the `|`.
    A whole file has an origin without a column, and its lines are its lines.
    """
    if origin is None or not origin.line:
        return Origin(origin.file, line) if origin else None
    return Origin(origin.file, origin.line + line) if "\n" in text else origin
