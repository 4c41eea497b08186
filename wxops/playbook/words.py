"""Text after a module's name, cut into words: quotes and templates hold a word together, a backslash two lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wxops.playbook.jinja.embedded import has_template

CONTINUATION = "\\\n"
TEMPLATES = {"{{": "}}", "{%": "%}", "{#": "#}"}
ESCAPE = re.compile(r"""\\(?:U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|N\{[^}]+\}|[\\'"abfnrtv])""")


@dataclass(frozen=True)
class Word:
    """A word as it stands in the text, at [start:end]."""

    text: str
    start: int
    end: int

    @property
    def pair(self) -> tuple[str, str] | None:
        """(key, value) of `key=value`, the value without the quotes around it; None for another word.

        Escapes as `\\n` mean what they mean in a Python text, as in Ansible.
        """
        key, equals, value = self.text.partition("=")
        if not equals or not (key.isidentifier() or has_template(key)):
            return None
        return key, unquoted(ESCAPE.sub(lambda escape: codecs.decode(escape[0], "unicode-escape"), value))


def words(text: str) -> Iterator[Word]:
    """The words of a text. Raises ValueError for a quote or a template that does not end."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text.startswith(CONTINUATION, at):
            at += len(CONTINUATION)
            continue
        start = at
        while at < len(text) and not text[at].isspace():
            at = _after(text, at)
        yield Word(text[start:at], start, at)


def _after(text: str, at: int) -> int:
    """Where what begins at `at` ends: a quoted part, a template, or one character."""
    if text[at] == "\\":
        return at + 2
    closing = text[at] if text[at] in "'\"" else TEMPLATES.get(text[at : at + 2])
    if closing is None:
        return at + 1
    end = text.find(closing, at + len(closing))
    while end > 0 and text[end - 1] == "\\" and len(closing) == 1:
        end = text.find(closing, end + 1)
    if end < 0:
        raise ValueError(f"{text[at : at + len(closing)]} is opened and never closed")
    return end + len(closing)


def unquoted(value: str) -> str:
    """A value without the quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
