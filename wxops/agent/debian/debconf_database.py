"""debconf's answers to packages' questions, as it wrote them down (debconf-devel(7), DATABASES)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List, Optional

    Question = Dict[str, str]
    """The fields of its stanza: Name, Template, Value, Owners, Flags."""

FOLDER = "/var/cache/debconf"
OMITTED = "(password omitted)"


def question(name: str) -> Optional[Question]:
    """What debconf knows of a question, with the Type of its template; None when it does not know it."""
    found = next(
        (each for file in ("passwords.dat", "config.dat") for each in _stanzas(file) if each["Name"] == name), None
    )
    if found is None:
        return None
    template = found.get("Template", name)
    kind = next((each.get("Type", "") for each in _stanzas("templates.dat") if each["Name"] == template), "")
    return dict(found, Type=kind)


def answers(package: str) -> Dict[str, str]:
    """The answers to a package's questions, as debconf-show(1) tells them: without passwords."""
    found = {}
    for file in ("config.dat", "passwords.dat"):
        for each in _stanzas(file):
            if package in [owner.strip() for owner in each.get("Owners", "").split(",")]:
                hidden = file == "passwords.dat" and each.get("Value")
                found[each["Name"]] = OMITTED if hidden else each.get("Value", "")
    return found


def _stanzas(file: str) -> List[Question]:
    try:
        with open("%s/%s" % (FOLDER, file), encoding="utf-8", errors="surrogateescape") as opened:
            texts = opened.read().split("\n\n")
    except FileNotFoundError:
        return []
    stanzas = [_fields(text) for text in texts if text.strip()]
    return [each for each in stanzas if "Name" in each]


def _fields(text: str) -> Question:
    """A line that begins with a blank belongs to the field before."""
    pairs = (line.partition(": ") for line in text.splitlines() if not line.startswith(" "))
    return {name.rstrip(":"): value for name, _, value in pairs}
