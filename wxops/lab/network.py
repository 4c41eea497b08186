"""The lab's network: one bridge on this machine, and for each host a network namespace wired to it.

Hosts reach each other and this machine over the bridge, and the outside through one MASQUERADE rule.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from wxops.lab.command import run, succeeds

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FIRST_HOST = 11
FIRST_LIGHT_HOST = 50


@dataclass(frozen=True)
class Network:
    """A /24 of which this machine's bridge has the first address. Every method may be called again."""

    lab: str
    subnet: ipaddress.IPv4Network

    @property
    def bridge(self) -> str:
        return f"wx-{self.lab}"

    @property
    def gateway(self) -> str:
        return str(self.subnet[1])

    def host_address(self, number: int) -> str:
        """Of the host with that number, from 1."""
        return str(self.subnet[FIRST_HOST + number - 1])

    def light_address(self, number: int) -> str:
        return str(self.subnet[FIRST_LIGHT_HOST + number - 1])

    def up(self) -> None:
        if not Path("/sys/class/net", self.bridge).exists():
            run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "address", "replace", f"{self.gateway}/{self.subnet.prefixlen}", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        FORWARDING.write_text("1")
        for table, chain, *rule in self._rules():
            if not succeeds("iptables", "-w", "-t", table, "-C", chain, *rule):
                run("iptables", "-w", "-t", table, "-I", chain, *rule)

    def down(self) -> None:
        """Remove the bridge and its rules. Forwarding stays on: another lab or a Docker engine may count on it."""
        for table, chain, *rule in self._rules():
            while succeeds("iptables", "-w", "-t", table, "-D", chain, *rule):
                pass
        succeeds("ip", "link", "delete", self.bridge)

    def _rules(self) -> list[tuple[str, ...]]:
        """The packet filter rules: out by MASQUERADE, and past a FORWARD policy of DROP, such as Docker's."""
        note = ("-m", "comment", "--comment", f"wxops lab {self.lab}")
        return [
            ("nat", "POSTROUTING", "-s", str(self.subnet), "!", "-o", self.bridge, "-j", "MASQUERADE", *note),
            ("filter", "FORWARD", "-i", self.bridge, "-j", "ACCEPT", *note),
            ("filter", "FORWARD", "-o", self.bridge, "-j", "ACCEPT", *note),
        ]

    def attach(self, host: str, *addresses: str) -> None:
        """Make the host's namespace with eth0 at `addresses`; on this side the cable's end is named as the host."""
        self.detach(host)
        run("ip", "netns", "add", host)
        run("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", host)
        run("ip", "link", "set", host, "master", self.bridge, "up")
        inside = [
            "link set lo up",
            *(f"address add {address}/{self.subnet.prefixlen} dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add default via {self.gateway}",
        ]
        run("ip", "-netns", host, "-batch", "-", text="\n".join(inside))

    def detach(self, host: str) -> None:
        succeeds("ip", "link", "delete", host)
        succeeds("ip", "netns", "delete", host)

    def link(self, host: str, *, up: bool) -> None:
        """Plug the host's cable in or out."""
        run("ip", "link", "set", host, "up" if up else "down")

    def attached(self) -> list[str]:
        """The names of the hosts whose cable is plugged into the bridge, whoever plugged it in."""
        if not Path("/sys/class/net", self.bridge).exists():
            return []
        ends = json.loads(run("ip", "-json", "link", "show", "master", self.bridge) or "[]")
        return sorted(end["ifname"] for end in ends)
