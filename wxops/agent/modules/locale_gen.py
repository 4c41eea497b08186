"""Locales of Debian and Ubuntu, in /etc/locale.gen and generated from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.locales import as_in_locale_gen

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal

    from wxops.agent.change import Change

FILE = "/etc/locale.gen"
SUPPORTED = ("/usr/share/i18n/SUPPORTED", "/usr/local/share/i18n/SUPPORTED")


def locale_gen(change: Change, name: List[str], state: Literal["absent", "present"] = "present") -> Dict[str, Any]:
    """Generate locales, or remove them.

    name: locales with their encoding, as zh_CN.UTF-8.
    state: whether the host is to have them.
    """
    before = change.read(FILE)
    coming = bool(change.check and change.view.pending("package"))
    if before is None and not coming:
        raise ModuleFailure("%s is missing. Install the package locales" % FILE)
    now = change.state("locales", "glibc")["names"]
    supported = _supported(change)
    unknown = [each for each in name if each not in supported and as_in_locale_gen(each) not in now]
    if unknown and not coming:
        raise ModuleFailure(
            "The following locales you have entered are not available on your system: %s" % ", ".join(unknown)
        )
    wanted = [as_in_locale_gen(each) for each in name]
    there = all(each in now for each in wanted)
    if there != (state == "present"):
        text = (before or b"").decode("utf-8", "surrogateescape")
        after = _with(text, name, supported) if state == "present" else _without(text, name)
        change.write(FILE, after.encode("utf-8", "surrogateescape"))
        rest = [each for each in now if each not in wanted]
        change.set(
            "locales", "glibc", {"names": sorted(rest + wanted) if state == "present" else rest, "asked": wanted}
        )
    return {"name": name, "mechanism": "glibc"}


def _supported(change: Change) -> Dict[str, str]:
    """Locale -> character set, of all that can be generated."""
    texts = [(change.read(path) or b"").decode("utf-8", "replace") for path in SUPPORTED]
    return dict(re.findall(r"^[ #]*([^\s#]+) +(\S+) *$", "\n".join(texts), re.MULTILINE))


def _with(text: str, names: List[str], supported: Dict[str, str]) -> str:
    for name in names:
        entry = re.compile(r"^[# ]*%s (\S+) *$" % re.escape(name), re.MULTILINE)
        if entry.search(text):
            text = entry.sub(lambda found, name=name: "%s %s" % (name, found.group(1)), text)  # type: ignore[misc]
        else:
            charset = supported.get(name) or name.partition(".")[2] or "ISO-8859-1"
            text += ("" if text.endswith("\n") or not text else "\n") + "%s %s\n" % (name, charset)
    return text


def _without(text: str, names: List[str]) -> str:
    for name in names:
        text = re.sub(r"^ *(%s \S+) *$" % re.escape(name), r"# \1", text, flags=re.MULTILINE)
    return text
