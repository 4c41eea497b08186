"""Who used what and how many tokens: a JSON object a line in a file, never a word of a prompt or an answer.

A thread of its own writes, so a slow disk holds nobody up. The file may be moved away at any time (logrotate): it is
made anew for the next line. Lines that cannot be written are counted, and the log says so.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from wxruntime.gateway.exchange import Call, Refusal
from wxruntime.gateway.pipeline import Observer

log = logging.getLogger("wxruntime.gateway.audit")

Sync = Literal["always", "second", "never"]
WAITING = 100_000  # lines that may wait for the disk
Json = dict[str, Any]


class AuditLog(Observer):
    """sync: when lines are forced to the disk: with each batch, once a second, or when the system likes."""

    def __init__(self, path: Path, sync: Sync = "second", clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.lost = 0
        self._clock = clock
        self._file = _File(path, sync)
        self._file.open()  # a path that cannot be written is found at the start
        self._lines: queue.Queue[Json | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="audit log", daemon=True)
        self._thread.start()

    def ended(self, call: Call) -> None:
        self._add({"event": "call", **account(call)})

    def refused(self, refusal: Refusal, client: str | None, address: str) -> None:
        self._add(
            {"event": "refused", "client": client, "address": address, "status": refusal.status, "code": refusal.code}
        )

    def reloaded(self, what: str, error: str | None) -> None:
        self._add({"event": "reloaded", "what": what, "error": error})

    def administered(self, action: str, model: str, replica: str, by: str, uid: int | None) -> None:
        self._add({"event": "admin", "by": by, "uid": uid, "action": action, "model": model, "replica": replica})

    def lost_lines(self) -> float:
        return self.lost

    def close(self) -> None:
        """Write what waits, and end."""
        self._lines.put(None)
        self._thread.join()

    def _add(self, line: Json) -> None:
        try:
            self._lines.put_nowait({"time": self._clock(), **line})
        except queue.Full:
            self._lose(1, "lines come faster than the disk takes them")

    def _write(self) -> None:
        ending = False
        while not ending:
            batch = self._batch()
            ending = None in batch
            lines = [_line(each) for each in batch if each is not None]
            try:
                self._file.write(lines)
            except OSError as error:
                self._lose(len(lines), f"{self.path}: {error.strerror or error}")
        self._file.close()

    def _batch(self) -> list[Json | None]:
        """What waits, at most a thousand lines; nothing when there was nothing for a second."""
        batch: list[Json | None] = []
        try:
            batch.append(self._lines.get(timeout=1.0))
            while len(batch) < 1000:
                batch.append(self._lines.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _lose(self, count: int, why: str) -> None:
        if count:
            log.error("%d lines of the audit log are lost: %s", count, why)
            self.lost += count


def account(call: Call) -> Json:
    """What there is to say of a call, in a fixed order."""
    return {
        "id": call.id,
        "client": call.guest.name,
        "model": call.model,
        "route": call.route,
        "stream": call.streaming,
        "outcome": call.outcome,
        "error": call.error,
        "status": call.status,
        "prompt_tokens": call.usage.prompt,
        "completion_tokens": call.usage.completion,
        "tokens_exact": call.usage.exact,
        "cache": call.cache,
        "engine": call.engine,
        "replica": call.replica,
        "attempts": call.attempts,
        "queue_ms": _ms(call.admitted, call.received),
        "first_token_ms": _ms(call.first_byte, call.received),
        "total_ms": _ms(call.ended, call.received),
    }


def _ms(end: float | None, start: float) -> float | None:
    return None if end is None else round((end - start) * 1000, 3)


def _line(line: Json) -> bytes:
    at = datetime.fromtimestamp(line["time"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({**line, "time": at}) + b"\n"


class _File:
    """A file that is appended to, a line in one write, so that several gateways may share it."""

    def __init__(self, path: Path, sync: Sync) -> None:
        self._path, self._sync = path, sync
        self._fd = -1
        self._inode = (0, 0)
        self._torn = False
        self._unsynced = False
        self._synced = time.monotonic()

    def open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        stat = os.fstat(self._fd)
        self._inode = (stat.st_dev, stat.st_ino)

    def write(self, lines: list[bytes]) -> None:
        if lines and self._moved():
            self.close()
            self.open()
        if lines:
            data = (b"\n" if self._torn else b"") + b"".join(lines)
            self._torn = True  # until all of it is there
            while data:
                data = data[os.write(self._fd, data) :]
            self._torn, self._unsynced = False, True
        now = time.monotonic()
        due = self._sync == "always" or (self._sync == "second" and now - self._synced >= 1.0)
        if self._unsynced and due:
            os.fsync(self._fd)
            self._unsynced, self._synced = False, now

    def close(self) -> None:
        if self._fd >= 0:
            if self._unsynced and self._sync != "never":
                os.fsync(self._fd)
            os.close(self._fd)
        self._fd, self._unsynced = -1, False

    def _moved(self) -> bool:
        if self._fd < 0:
            return True
        try:
            stat = self._path.stat()
        except OSError:
            return True
        return (stat.st_dev, stat.st_ino) != self._inode
