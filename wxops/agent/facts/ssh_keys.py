"""The public host keys of this host's SSH server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def host_keys(host: Host) -> Dict[str, Any]:
    """From the first directory that has any."""
    facts: Dict[str, Any] = {}
    for folder in ("/etc/ssh", "/etc/openssh", "/etc"):
        for algorithm in ("dsa", "rsa", "ecdsa", "ed25519"):
            words = host.read("%s/ssh_host_%s_key.pub" % (folder, algorithm)).split()
            if len(words) >= 2:
                name = "ssh_host_key_%s_public" % algorithm
                facts[name], facts[name + "_keytype"] = words[1], words[0]
        if facts:
            break
    return facts
