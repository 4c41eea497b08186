"""The most memory that all processes of a control group held together, looked at again and again while they run."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from wxops.lab.cgroup import ROOT, Cgroup

EVERY_S = 0.1


class Peak:
    """Their own memory: pages that forked processes share count once, files in the page cache not at all.

    with Peak(cgroup) as peak:
        ...
    peak.bytes
    """

    def __init__(self, cgroup: Cgroup) -> None:
        v1, v2 = ROOT / "memory" / cgroup.path / "memory.stat", ROOT / cgroup.path / "memory.stat"
        self._stat, self._name = (v1, "total_rss") if v1.exists() else (v2, "anon")
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            self.bytes = max(self.bytes, _value(self._stat, self._name))


def _value(stat: Path, name: str) -> int:
    lines = (line.split() for line in stat.read_text().splitlines())
    return next(int(value) for key, value in lines if key == name)
