"""`wxruntime engine` that notes when a burst of requests passes where: `watched.py MODEL PORT NOTES`.

A line of JSON in NOTES for each burst, a moment after its last token. Times are of time.monotonic(), which is
time.perf_counter() too, in all processes of a machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from wxruntime.backends.base import Load
from wxruntime.engine.engine import Engine
from wxruntime.engine.generation import Generation
from wxruntime.engine.link import Stepped
from wxruntime.engine.serve import Options, run
from wxruntime.models.verify import Check, Trust

AFTER_S = 0.1  # the answers have left by then


@dataclass(slots=True)
class Notes:
    """asked: when each request was with the engine; read: when the last prompts were, by the backend's process; made:
    when each step with tokens was done there; heard: when this process had the last of them; by: what reads HTTP."""

    asked: list[float] = field(default_factory=list)
    read: float = 0.0
    made: list[float] = field(default_factory=list)
    heard: float = 0.0
    by: str = ""

    def stages(self, began: float) -> dict[str, float]:
        """Milliseconds from `began`; step_ms: the median step after the last prompts."""
        found = {
            "first_asked_ms": self.asked[0],
            "all_asked_ms": self.asked[-1],
            "prompts_read_ms": self.read,
            "last_made_ms": self.made[-1],
            "last_heard_ms": self.heard,
        }
        return {name: 1e3 * (at - began) for name, at in found.items()} | {"step_ms": step_ms(self.made, self.read)}


def step_ms(made: list[float], read: float) -> float:
    """The median time from one step to the next, after the last prompts were read."""
    alone = [at for at in made if at >= read]
    steps = sorted(after - before for before, after in pairwise(alone))
    return 1e3 * steps[len(steps) // 2] if steps else 0.0


def noted(path: Path, bursts: int) -> Notes:
    """The last of so many."""
    lines = path.read_text().splitlines()
    assert len(lines) == bursts, f"{len(lines)} bursts were noted, not {bursts}"
    return Notes(**json.loads(lines[-1]))


class Watched(Engine):
    """An engine that takes notes, in the file that WATCHED names."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._notes = Notes()
        self._ending: asyncio.TimerHandle | None = None

    def submit(self, *arguments: Any, **named: Any) -> Generation:
        if self._ending is not None:
            self._ending.cancel()
        self._notes.asked.append(monotonic())
        return super().submit(*arguments, **named)

    def _stepped(self, message: Stepped) -> None:
        notes = self._notes
        if message.step.started:
            notes.read = message.at
        if message.step.tokens:
            notes.made.append(message.at)
        super()._stepped(message)
        notes.heard = monotonic()
        if not self._answers and notes.asked:
            self._ending = asyncio.get_running_loop().call_later(AFTER_S, self._keep)

    def _keep(self) -> None:
        notes, self._notes = self._notes, Notes()
        notes.by = f"{type(asyncio.get_running_loop()).__module__} {AutoHTTPProtocol.__name__}"
        with Path(os.environ["WATCHED"]).open("a") as file:
            file.write(json.dumps(asdict(notes)) + "\n")


def options(load: Load, port: int) -> Options:
    return Options(
        backend="paged",
        load=load,
        served_model_name=(),
        host="127.0.0.1",
        port=port,
        queue_size=1024,
        stall_seconds=60,
        drain_seconds=5,
        trust=Trust(Check.SIZES),
    )


if __name__ == "__main__":
    from shapes import CONTEXT

    logging.basicConfig(level="WARNING")
    run(options(Load(Path(sys.argv[1]), context_length=CONTEXT), int(sys.argv[2])), Watched)
