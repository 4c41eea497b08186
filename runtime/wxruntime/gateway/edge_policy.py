"""What an edge sends to its center: rules over one request, each with the reason that a client is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.exchange import Call
from wxruntime.gateway.prefix import prompt_text

Reason = Literal["model", "length", "complexity", "queue", "confidence"]


class _Prompt(msgspec.Struct):
    prompt: Any = None
    messages: Any = None
    tools: Any = None


_decoder = msgspec.json.Decoder(_Prompt)


@dataclass(frozen=True, slots=True)
class Rule:
    """A sign of a hard question: a pattern found in it adds its weight."""

    pattern: re.Pattern[str]
    weight: float


class Policy:
    """Judges before an engine is asked; whether the small model was sure of itself is judged after (confidence.py)."""

    def __init__(self, settings: config.EdgePolicy) -> None:
        self.settings = settings
        self._models = frozenset(settings.models)
        self._rules = [Rule(re.compile(each.pattern, re.IGNORECASE), each.weight) for each in settings.complexity]

    def judge(self, call: Call, waiting: int) -> Reason | None:
        """Why the center is to answer; None for the edge. `waiting`: calls in the edge's own queue for that model."""
        settings = self.settings
        if call.asked.model in self._models:
            return "model"
        if settings.prompt_characters is not None or self._rules:
            fields = _decoder.decode(call.body)
            prompt = {"prompt": fields.prompt, "messages": fields.messages, "tools": fields.tools}
            if settings.prompt_characters is not None and len(prompt_text(prompt)) > settings.prompt_characters:
                return "length"
            if self._rules and self.complexity(question(prompt)) >= settings.complexity_at_least:
                return "complexity"
        if settings.queue is not None and waiting >= settings.queue:
            return "queue"
        return None

    def complexity(self, text: str) -> float:
        return sum(rule.weight for rule in self._rules if rule.pattern.search(text))


def question(prompt: dict[str, Any]) -> str:
    """What is asked now: a chat's last message of the user, or the whole prompt of a completion."""
    messages = prompt.get("messages")
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            return "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))
    return prompt_text(prompt)
