"""What the gateway says about itself: a JSON object a line, with never a prompt, an answer or a key in it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from wxruntime.gateway.call_log import JsonLines
from wxruntime.gateway.exchange import Refusal
from wxruntime.gateway.pipeline import Observer

if TYPE_CHECKING:
    from wxruntime.gateway.breaker import State
    from wxruntime.gateway.replica import Replica

log = logging.getLogger("wxruntime.gateway")


def set_up() -> None:
    """All loggers of the process write such lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def say(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """One line about `event`; fields that are None are left out."""
    told = {name: value for name, value in fields.items() if value is not None}
    text = " ".join([event, *(f"{name}={value}" for name, value in told.items())])
    log.log(level, "%s", text, extra={"fields": {"event": event, **told}})


class Log(Observer):
    """Writes down what an operator looks for afterwards: who was turned away, what broke, what changed."""

    def refused(self, refusal: Refusal, client: str | None, address: str) -> None:
        why = refusal.message if refusal.code == "tls" else None  # other messages may quote what was sent
        say("refused", level=logging.WARNING, code=refusal.code, why=why, client=client, address=address or None)

    def breaker(self, replica: Replica, before: State, after: State) -> None:
        level = logging.WARNING if after == "open" else logging.INFO
        why = replica.trouble if after == "open" else None
        say(f"breaker {after}", level=level, model=replica.model, replica=replica.url, before=before, why=why)

    def reloaded(self, what: str, error: str | None) -> None:
        if error is None:
            say("reloaded", what=what)
        else:
            say("reload failed, what was before stays in force", level=logging.ERROR, what=what, error=error)

    def administered(self, action: str, model: str, replica: str, by: str, uid: int | None) -> None:
        say("replicas changed", action=action, model=model, replica=replica or None, by=by, uid=uid)
