"""One line of the log for each call, and the log as JSON lines: names, numbers and times, no prompts and no answers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from wxruntime.gateway.audit_log import account
from wxruntime.gateway.exchange import Call
from wxruntime.gateway.pipeline import Observer

log = logging.getLogger("wxruntime.gateway.calls")


class CallLog(Observer):
    """Calls at INFO; what is wrong with one at WARNING."""

    def ended(self, call: Call) -> None:
        level = logging.INFO if call.outcome in ("answered", "left") else logging.WARNING
        if log.isEnabledFor(level):
            said = account(call)
            text = " ".join(f"{name}={value}" for name, value in said.items() if value is not None)
            log.log(level, "%s", text, extra={"fields": {"event": "call", **said}})


class JsonLines(logging.Formatter):
    """A log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: dict[str, Any] = getattr(record, "fields", None) or {"message": record.getMessage()}
        body = {"time": at, "level": record.levelname.lower(), "logger": record.name, **fields}
        if record.exc_info:
            body["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(body).decode()
