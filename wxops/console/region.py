"""The lines at the bottom of a terminal that are drawn over and over, while what is said once scrolls up above them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

import click
from rich.cells import cell_len, set_cell_size

TICK_S = 0.12
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CLEAR_BELOW = "\x1b[J"


class Region:
    """`lines(width, height)` gives what the region shows now; it is asked again at every tick."""

    def __init__(self, out: TextIO, lines: Callable[[int, int], list[str]]) -> None:
        self._out, self._lines = out, lines
        self._shown: list[str] = []
        self._drawing = threading.RLock()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="console", daemon=True)

    def __enter__(self) -> Region:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._ticker.join()
        self.above("", last=True)

    def above(self, text: str, last: bool = False) -> None:
        """Write text that stays, and the region anew below it."""
        with self._drawing:
            written = self._erase() + text
            self._shown = []
            self._out.write(written if last else written + self._draw())
            self._out.flush()

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        return size.columns or 80, size.lines or 24

    def _tick(self) -> None:
        while not self._done.wait(TICK_S):
            try:
                self.above("")
            except OSError:
                return  # the terminal is gone; the run goes on without it

    def _erase(self) -> str:
        """Back to where the region began, also when a narrower terminal has wrapped its lines since."""
        if not self._shown:
            return ""
        width, _ = self.size()
        rows = sum(max(1, -(-cell_len(click.unstyle(line)) // width)) for line in self._shown)
        return f"\x1b[{rows}A\r{CLEAR_BELOW}{SHOW_CURSOR}"

    def _draw(self) -> str:
        width, height = self.size()
        self._shown = self._lines(width, height)[: height - 2]
        return HIDE_CURSOR + "".join(line + "\n" for line in self._shown) if self._shown else ""


def fit(text: str, width: int) -> str:
    """Text cut or padded to exactly this many columns; a Chinese character takes two."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "…"
