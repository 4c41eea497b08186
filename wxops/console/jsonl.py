"""One JSON object a line, for programs."""

from __future__ import annotations

import json
from typing import TextIO

from wxops.engine.events import Event, as_json


class JsonLines:
    """Writes each event as it happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._ascii = not out.encoding.lower().startswith("utf")  # what cannot be shown is escaped as JSON does it

    def __call__(self, event: Event) -> None:
        self._out.write(json.dumps(as_json(event), default=str, ensure_ascii=self._ascii) + "\n")
        self._out.flush()
