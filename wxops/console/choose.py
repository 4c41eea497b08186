"""Which console shows a run: live on a terminal, plain in a pipe, or what the operator asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from wxops.engine.events import Event

if TYPE_CHECKING:
    from wxops.engine.options import RunOptions
    from wxops.playbook.settings import Settings

Console = Callable[[Event], None]


@contextlib.contextmanager
def console(
    output: str | None, options: RunOptions, out: TextIO, settings: Settings | None = None
) -> Iterator[Console]:
    """The function that is told every event."""
    chosen = output or ("live" if out.isatty() else "plain")
    if chosen == "jsonl":
        from wxops.console.jsonl import JsonLines

        yield to_the_end(JsonLines(out))
        return
    if chosen == "live":
        from wxops.console.live import Live

        with Live(out, diff=options.diff, verbosity=options.verbosity) as live:
            yield to_the_end(live)
        return
    from wxops.console.ansible_text import WIDTH
    from wxops.console.plain import Plain

    color = out.isatty() and not os.environ.get("NO_COLOR")
    shown: dict[str, Any] = {}
    if out.isatty():
        shown["width"] = max(WIDTH, shutil.get_terminal_size().columns - 1)  # as ansible-playbook
    if settings is not None:
        color = color if settings.color is None else settings.color
        shown |= {
            name: getattr(settings, name)
            for name in ("show_ok", "show_skipped", "failed_to_stderr", "show_custom_stats")
        }
    yield to_the_end(Plain(out, color=color, diff=options.diff, verbosity=options.verbosity, **shown))


def to_the_end(show: Console) -> Console:
    """A run goes on when nobody reads it any more (`| head`, a full disk under a log): its record has everything."""
    lost = False

    def tell(event: Event) -> None:
        nonlocal lost
        if not lost:
            try:
                show(event)
            except OSError:
                lost = True

    return tell
