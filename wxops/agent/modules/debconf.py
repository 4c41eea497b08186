"""Answers to the questions that Debian's packages ask when they are installed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from wxops.agent.debian.debconf_database import OMITTED, answers
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Raw
    from wxops.agent.change import Change

ALIASES = {"pkg": "name", "selection": "question", "setting": "question", "answer": "value"}


def debconf(
    change: Change,
    name: str,
    question: Optional[str] = None,
    vtype: Optional[
        Literal["boolean", "error", "multiselect", "note", "password", "seen", "select", "string", "text", "title"]
    ] = None,
    value: Optional[Raw] = None,
    unseen: bool = False,
) -> Dict[str, Any]:
    """Answer a package's question before it is asked, or return the answers that are there.

    name: the package.
    question: as `debconf-show PACKAGE` lists them. It needs vtype and value.
    vtype: the question's type.
    value: the answer; of a multiselect a list, or text with commas.
    unseen: let the package ask all the same, with this answer to begin with.
    """
    if shutil.which("debconf-set-selections") is None:
        raise ModuleFailure("this host has no debconf: `debconf` is for Debian and Ubuntu")
    given = {"question": question, "vtype": vtype, "value": value}
    if question is None and (vtype, value) == (None, None):
        return {"changed": False, "msg": "", "current": answers(name)}
    if question is None or vtype is None or value is None:
        missing = ", ".join(argument for argument, each in given.items() if each is None)
        raise ModuleFailure("parameters are required together: question, vtype, value; missing: %s" % missing)
    text = _text(vtype, value)
    before = change.state("debconf_answer", "%s %s" % (name, question))
    shown = "" if not before["exists"] else _shown(before["type"], before["value"])
    previous = {**({} if before["exists"] else answers(name)), question: shown}
    if vtype == "seen":
        wanted = dict(before, seen=text == "true") if before["exists"] else None
    elif before["exists"] and _same(vtype, before["value"], value):
        wanted = None
    else:
        wanted = {"exists": True, "type": vtype, "value": text, "seen": before.get("seen", False) or not unseen}
    if wanted is None or not change.set("debconf_answer", "%s %s" % (name, question), wanted):
        return {"changed": False, "msg": "", "current": answers(name)}
    return {"changed": True, "msg": "", "current": {question: _shown(vtype, text)}, "previous": previous}


def _text(vtype: str, value: Any) -> str:
    if isinstance(value, list):
        if vtype != "multiselect" or not all(isinstance(each, str) for each in value):
            raise ModuleFailure("Invalid value provided for '%s': only a multiselect takes a list, of texts" % vtype)
        return ", ".join(sorted(value))
    return str(value).lower() if vtype in ("boolean", "seen") or isinstance(value, bool) else str(value)


def _same(vtype: str, known: str, value: Any) -> bool:
    if isinstance(value, list):
        return sorted(each.strip() for each in known.split(",")) == sorted(value)
    return (known.lower() if vtype == "boolean" else known) == _text(vtype, value)


def _shown(vtype: str, text: str) -> str:
    return OMITTED if vtype == "password" and text else text
