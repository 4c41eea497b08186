"""setup: gather facts about the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change


def setup(
    change: Change,
    gather_subset: Optional[List[str]] = None,
    gather_timeout: int = 10,
    filter: Optional[List[str]] = None,
    fact_path: str = "/etc/ansible/facts.d",
) -> Dict[str, Any]:
    """Gather facts about the host: ansible_distribution, ansible_default_ipv4, ansible_mounts and so on.

    gather_subset:  which: all (the default), min, hardware, network, virtual, ... or !hardware to leave one out.
    gather_timeout: seconds that one command, one network file system or the resolver may take; what takes longer is
                    left out, and a warning names it.
    filter:         return only facts whose names match one of these shell patterns.
    fact_path:      a directory of your own facts, NAME.fact each: JSON, INI, or a program that prints one of them.
                    They are in ansible_local.

    It changes nothing and works in check mode. Plays run it by themselves unless they say `gather_facts: false`.
    """
    from wxops.agent.facts.gathering import gather

    facts, warnings = gather(gather_subset or ["all"], gather_timeout, filter or [], fact_path)
    return {"ansible_facts": facts, "warnings": warnings} if warnings else {"ansible_facts": facts}
