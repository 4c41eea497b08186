"""The kernel's command line as a dictionary: `cmdline` keeps the last of a repeated option, `proc_cmdline` all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host


def cmdline(host: Host) -> Dict[str, Any]:
    text = host.read("/proc/cmdline")
    if not text:
        return {}
    last: Dict[str, Any] = {}
    every: Dict[str, Any] = {}
    for word in _words(text):
        name, equals, value = word.partition("=")
        last[name] = value if equals else True
        if equals and name in every:
            before = every[name]
            every[name] = before + [value] if isinstance(before, list) else [before, value]
        else:
            every[name] = last[name]
    return {"cmdline": last, "proc_cmdline": every}


def _words(text: str) -> List[str]:
    """Words, where quotes may hold blanks; no words at all when a quote is left open."""
    if "'" not in text and '"' not in text:
        return text.split()
    import shlex

    try:
        return shlex.split(text, posix=False)
    except ValueError:
        return []
