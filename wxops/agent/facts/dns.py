"""What /etc/resolv.conf says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def dns(host: Host) -> Dict[str, Any]:
    facts: Dict[str, Any] = {}
    for line in host.lines("/etc/resolv.conf"):
        words = line.split()
        if not words or line[0] in "#;":
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver":
            facts.setdefault("nameservers", []).extend(values)
        elif keyword in ("search", "sortlist"):
            facts[keyword] = values
        elif keyword == "domain" and values:
            facts["domain"] = values[0]
        elif keyword == "options":
            facts["options"] = {name: value or True for name, _, value in (v.partition(":") for v in values)}
    return {"dns": facts}
