"""What `set_stats` keeps for the end of a run: figures of the run and of single hosts, added up where tasks say so."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

RUN = "_run"
"""The name under which the figures of the whole run stand, beside those of hosts."""


class CustomStats:
    """Figures by host, or RUN, and name. Several threads may add to them."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()

    def add(self, host: str, told: Mapping[str, Any]) -> None:
        """told: data, per_host and aggregate, as the module gives them."""
        with self._guard:
            kept = self._kept.setdefault(host if told["per_host"] else RUN, {})
            for name, value in told["data"].items():
                kept[name] = _together(kept[name], value) if told["aggregate"] and name in kept else value

    @property
    def kept(self) -> Mapping[str, Mapping[str, Any]]:
        return self._kept


def _together(old: Any, new: Any) -> Any:
    """A mapping over another, all else added; where the two are not of one kind the old one stays, as in Ansible."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **new}
    return old + new if type(old) is type(new) and old is not None else old
