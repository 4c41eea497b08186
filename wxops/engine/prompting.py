"""Asking the operator what plays want to know, and what stands for an answer where nobody can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.jinja.passwords import password_hash
from wxops.playbook.plays import Play
from wxops.playbook.signature import boolean
from wxops.playbook.source import SourceStr
from wxops.playbook.templating import Templar

Ask = Callable[[str, bool], str]
"""Shows a text and returns what is typed; with True what is typed does not show."""


def refuse_unanswerable(plays: Sequence[Play], given: Mapping[str, Any]) -> None:
    """Nobody is there to answer: before any host is touched, refuse plays that cannot do without. Raises InputError."""
    for play in plays:
        for question in play.vars_prompt:
            if question["name"] not in given and question.get("default") is None:
                raise _unanswerable(question)


def answers(play: Play, templar: Templar, given: Mapping[str, Any], ask: Ask | None) -> dict[str, Any]:
    """The answers of a play's questions by the names of their variables; what was given with -e is not asked for.

    templar: the play's variables, which questions may name. ask: None where nobody can answer; defaults stand then.
    """
    found: dict[str, Any] = {}
    for written in play.vars_prompt:
        question = {key: value if key == "default" else templar.render(value) for key, value in written.items()}
        if question["name"] not in given:
            found[question["name"]] = _answer(written, question, ask, templar)
    return found


def _answer(written: Any, question: Mapping[str, Any], ask: Ask | None, templar: Templar) -> Any:
    default, private = question.get("default"), boolean(question.get("private", True))
    if ask is None and default is None:
        raise _unanswerable(written)
    typed = _typed(question, ask, private) if ask is not None else ""
    answer: Any = SourceStr(typed, Origin("vars_prompt")) if typed or default is None else default
    if typed and private:
        templar.secrets.add(typed)
    if question.get("encrypt"):
        return _encrypted(templar.render(answer), question, written.at("encrypt"))
    return str(answer) if boolean(question.get("unsafe", False)) else answer


def _typed(question: Mapping[str, Any], ask: Ask, private: bool) -> str:
    default = question.get("default")
    text = str(question.get("prompt") or question["name"])
    shown = f"{text} [{default}]: " if default is not None else f"{text}: "
    while True:
        first = ask(shown, private)
        if not boolean(question.get("confirm", False)) or ask(f"confirm {shown}", private) == first:
            return first
        shown = f"the two are not the same; {shown.removeprefix('the two are not the same; ')}"


def _encrypted(value: Any, question: Mapping[str, Any], where: Origin) -> str:
    size = question.get("salt_size")
    try:
        return password_hash(
            str(value), str(question["encrypt"]), question.get("salt"), int(size) if size is not None else None
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"encrypt: {error}", where=where) from None


def _unanswerable(question: Any) -> InputError:
    name = question["name"]
    return InputError(f"the play asks for {name!r}, and nobody is there to answer", where=question.origin,
                      fix=f"give it with -e {name}=..., or give the question a default")  # fmt: skip
