"""`vars_prompt`: what a play asks the operator for before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wxops.errors import InputError
from wxops.playbook import keywords
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.jinja.passwords import scheme_of
from wxops.playbook.plays import as_list
from wxops.playbook.signature import boolean
from wxops.playbook.source import SourceDict

QUESTION = frozenset(
    {"name", "prompt", "default", "private", "confirm", "encrypt", "salt", "salt_size", "unsafe"}
)  # fmt: skip
TRUTHS = ("private", "confirm", "unsafe")


def questions(mapping: SourceDict) -> tuple[SourceDict, ...]:
    """Those of a play. Raises InputError for what is wrong in them."""
    return tuple(_checked(entry, mapping) for entry in as_list(mapping.get("vars_prompt")))


def default_answers(asked: Sequence[SourceDict]) -> dict[str, Any]:
    """What stands for the answers while nobody was asked, as far as there is something."""
    return {question["name"]: question["default"] for question in asked if question.get("default") is not None}


def _checked(entry: Any, play: SourceDict) -> SourceDict:
    question = keywords.mapping_at(entry, "question of vars_prompt", play.at("vars_prompt"))
    keywords.check(question, QUESTION, "question of vars_prompt")
    if not isinstance(question.get("name"), str):
        raise InputError("a question of vars_prompt needs the name of a variable", where=question.origin)
    for key in TRUTHS:
        _check_truth(question, key)
    encrypt = question.get("encrypt")
    try:
        if encrypt and not has_template(str(encrypt)):
            scheme_of(str(encrypt))
    except ValueError as error:
        raise InputError(f"encrypt: {error}", where=question.at("encrypt")) from None
    return question


def _check_truth(question: SourceDict, key: str) -> None:
    value = question.get(key, False)
    try:
        if not (isinstance(value, str) and has_template(value)):
            boolean(value)
    except ValueError as error:
        raise InputError(f"{key} {error}", where=question.at(key)) from None
