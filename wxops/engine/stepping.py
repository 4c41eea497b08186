"""`--step`: the operator is asked before each task of a play, once for all its hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

YES, ALL = ("y", "yes"), ("c", "continue")


@dataclass
class Stepping:
    """ask: puts a question to the operator and gives the answer."""

    ask: Callable[[str], str]
    _on: bool = True
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self, task: str, host: str | None = None) -> bool:
        """Is the task to be done? `c` does it and all later ones of the play; anything but `y` and `c` does not."""
        with self._asking:
            if not self._on:
                return True
            place = f" on {host}" if host else ""
            answer = self.ask(f"Perform task: TASK: {task}{place} (N)o/(y)es/(c)ontinue").strip().lower()
            self._on = answer not in ALL
            return answer in (*YES, *ALL)
