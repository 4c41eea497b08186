"""The live view without a terminal (a CI log): each line is written once; while it is quiet, one comes now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

import click

EVERY_S = 30.0
WIDTH = 100


class Log:
    """Has what `Region` has. `lines(width, height)` tells what goes on; the last of them is the summary."""

    def __init__(self, out: TextIO, lines: Callable[[int, int], list[str]], every: float = EVERY_S) -> None:
        self._out, self._lines, self._every = out, lines, every
        self._writing = threading.Lock()
        self._done, self._heard = threading.Event(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="console", daemon=True)

    def __enter__(self) -> Log:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._ticker.join()

    def above(self, text: str) -> None:
        if text:
            self._heard.set()
            self._write(text)

    def size(self) -> tuple[int, int]:
        return WIDTH, 24

    def _write(self, text: str) -> None:
        with self._writing:
            self._out.write(click.unstyle(text))
            self._out.flush()

    def _tick(self) -> None:
        """After a while without a word, say that the run goes on: a log that stands still is taken for a dead job."""
        while not self._done.wait(self._every):
            if not self._heard.is_set():
                lines = self._lines(*self.size())
                try:
                    self._write("".join(f"{line.rstrip()}\n" for line in lines[-1:]))
                except OSError:
                    return  # nobody reads it any more; the run goes on
            self._heard.clear()
