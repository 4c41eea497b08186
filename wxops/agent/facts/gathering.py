"""Gathering facts: the collectors that a task asks for, one after the other.

Nothing here changes the host. A part that fails costs its own facts and a warning, never the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.facts.collectors import chosen
from wxops.agent.facts.host import Host

if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Tuple

    from wxops.agent.facts.collectors import Part

FACT_PATH = "/etc/ansible/facts.d"


def gather(
    subset: Sequence[str] = ("all",), timeout: float = 10, filter: Sequence[str] = (), fact_path: str = FACT_PATH
) -> Tuple[Dict[str, Any], List[str]]:
    """The facts under their full names (ansible_kernel, ...), and warnings about those that could not be had.

    subset:  words as for Ansible's gather_subset: all, min, network, !hardware, ...
    timeout: seconds that one command, one network file system or the resolver may take.
    filter:  shell patterns of names, with or without ansible_; none keeps all.
    Raises ModuleFailure for a word that is no subset.
    """
    host = Host(timeout=timeout, fact_path=fact_path)
    facts: Dict[str, Any] = {}
    for collector in chosen(subset):
        for part in collector.parts:
            found = _attempt(part, host)
            host.facts.update(found)
            facts.update((collector.prefix + name.replace("-", "_"), value) for name, value in found.items())
    facts.update(gather_subset=list(subset), module_setup=True)
    return _filtered(facts, filter), host.warnings


def _attempt(part: Part, host: Host) -> Dict[str, Any]:
    try:
        return part(host)
    except Exception as error:  # whatever a strange host makes of it
        area = part.__module__.rpartition(".")[2]
        host.warn("no facts from %s.%s: %s: %s" % (area, part.__name__, type(error).__name__, error))
        return {}


def _filtered(facts: Dict[str, Any], patterns: Sequence[str]) -> Dict[str, Any]:
    if not patterns or "*" in patterns or "" in patterns:
        return facts
    from fnmatch import fnmatchcase

    full = [pattern for given in patterns for pattern in (given, "ansible_" + given)]
    return {name: value for name, value in facts.items() if any(fnmatchcase(name, pattern) for pattern in full)}
