"""Answers in memory, least recently used first out; what is held and what is being recorded stay within one bound."""

from __future__ import annotations

import sys
from collections import OrderedDict

from wxruntime.gateway.recorded import Recorded

# What an entry takes beside its key and its answer: its place in the ordered dictionary, which grows in steps.
ENTRY = 300


class Memory:
    """A bounded number of bytes. `used`, entries and reservations together, never exceeds `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.evictions = 0
        self._entries: OrderedDict[bytes, Recorded] = OrderedDict()
        self._kept = 0
        self._reserved = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def used(self) -> int:
        return self._kept + self._reserved

    def get(self, key: bytes, *, newer_than: float) -> Recorded | None:
        """The answer under `key` that was stored after `newer_than`; an older one is dropped."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found.stored <= newer_than:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, answer: Recorded) -> bool:
        """Keep it; False when there is no room for it, whatever is dropped."""
        if key in self._entries:
            self._drop(key)
        cost = _cost(key, answer)
        if not self._make_room(cost):
            return False
        self._entries[key] = answer
        self._kept += cost
        return True

    def reserve(self, count: int) -> bool:
        """Set `count` bytes aside for an answer that is being recorded; False when there is no room."""
        if not self._make_room(count):
            return False
        self._reserved += count
        return True

    def release(self, count: int) -> None:
        """Give back what was reserved."""
        self._reserved -= count

    def _make_room(self, count: int) -> bool:
        if self._reserved + count > self.limit:
            return False
        while self.used + count > self.limit:
            self._drop(next(iter(self._entries)))
            self.evictions += 1
        return True

    def _drop(self, key: bytes) -> None:
        self._kept -= _cost(key, self._entries.pop(key))


def _cost(key: bytes, answer: Recorded) -> int:
    return ENTRY + sys.getsizeof(key) + answer.memory
