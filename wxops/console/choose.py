"""Which console shows a run: live on a terminal, plain in a pipe, or what the operator asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from wxops.engine.events import Event

if TYPE_CHECKING:
    from wxops.engine.options import RunOptions


@contextlib.contextmanager
def console(output: str | None, options: RunOptions, out: TextIO) -> Iterator[Callable[[Event], None]]:
    """The function that is told every event."""
    chosen = output or ("live" if out.isatty() else "plain")
    if chosen == "jsonl":
        from wxops.console.jsonl import JsonLines

        yield JsonLines(out)
        return
    if chosen == "live" and out.isatty():
        from wxops.console.live import Live

        with Live(out, diff=options.diff, verbosity=options.verbosity) as live:
            yield live
        return
    from wxops.console.plain import Plain

    yield Plain(out, color=out.isatty(), diff=options.diff, verbosity=options.verbosity)
