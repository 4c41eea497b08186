"""Values that must not be shown, known by what they are and not by where they stand.

A secret travels: into a file's diff, a command's output, an error. So everything that is shown or recorded passes
through `mask`, which finds the value itself, and the forms in which texts carry it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
SHORTEST = 4
"""Shorter values are not secrets that can be told from ordinary text."""

_SHORTEST_LINE = 12
_SHORTEST_FRAGMENT = 8


class SecretRegistry:
    """The secrets of a run. Threads may add and mask at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()

    def add(self, value: Any) -> None:
        """Registers a text, or every text and long number in nested data."""
        found = set(_texts_in(value)) - self._secrets
        if found:
            with self._lock:
                self._secrets |= found
                forms = {form for secret in found for form in _forms_of(secret)}
                self._forms = tuple(sorted(forms.union(self._forms), key=len, reverse=True))

    def mask(self, text: str) -> str:
        """The text with every secret in it replaced by `***`."""
        spans = sorted(_spans(text, self._forms)) if self._forms else []
        if not spans:
            return text
        parts, end = [], 0
        for start, stop in spans:
            if start >= end:
                parts += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*parts, text[end:]])

    def mask_data(self, value: Any) -> Any:
        """The same for all texts in nested data, keys too. Without a secret in it the value itself."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, bytes):
            masked = self.mask(text := value.decode("utf-8", "surrogateescape"))
            return value if masked == text else masked.encode("utf-8", "surrogateescape")
        if isinstance(value, Mapping):
            return {self.mask_data(key): self.mask_data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_data(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and str(value) in self._secrets:
            return MASK
        return value

    def finds_in(self, value: Any) -> bool:
        """Is there a secret in it?"""
        return self.has_any and self.mask_data(value) != value

    @property
    def has_any(self) -> bool:
        """Is there a secret to look for?"""
        return bool(self._forms)


def _texts_in(value: Any) -> Iterator[str]:
    """Of a secret in several lines (a private key) also each line: a diff shows them one by one."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _texts_in(item)
    elif isinstance(value, bytes):
        yield from _texts_in(value.decode("utf-8", "replace"))
    elif isinstance(value, str):
        text = value.strip()
        if len(text) >= SHORTEST:
            yield str(text)
        lines = [line.strip() for line in text.split("\n")]
        if len(lines) > 1:
            yield from (line for line in lines if len(line) >= _SHORTEST_LINE)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and len(str(value)) >= 6:
        yield str(value)


def _forms_of(secret: str) -> set[str]:
    """The secret, and how JSON, Python, a URL, a shell and base64 write it."""
    escaped = {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        secret.replace("'", "'\"'\"'"),
        secret.replace("\n", "\r\n"),
    }
    return {secret, *escaped, *_base64_forms(secret.encode("utf-8", "surrogateescape"))}


def _base64_forms(secret: bytes) -> Iterator[str]:
    """As base64 on its own, and the part that shows in the base64 of a longer text: one for each alignment."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(secret).decode()
        yield whole
        for before in range(3):
            digits = encode(b"\0" * before + secret).decode().rstrip("=")
            # Digits of 6 bits: those that hold a bit of a neighbouring byte change with the neighbour.
            fragment = digits[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
            if len(fragment) >= _SHORTEST_FRAGMENT:
                yield fragment


def _spans(text: str, forms: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for form in forms:
        start = text.find(form)
        while start >= 0:
            yield start, start + len(form)
            start = text.find(form, start + 1)
