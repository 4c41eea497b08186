"""One JSON object a line, for programs."""

from __future__ import annotations

import json
from typing import TextIO

from wxops.engine.events import Event, as_json


class JsonLines:
    """Writes each event as it happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        self._out.write(json.dumps(as_json(event), default=str, ensure_ascii=False) + "\n")
        self._out.flush()
