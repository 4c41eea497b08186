"""A rule's words: those of ansible-core's iptables, in an order that iptables takes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from wxops.agent.iptables_rule import words_of
from wxops.agent.modules.iptables import iptables
from wxops.agent.resources.iptables_chain import parsed

DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(iptables).parameters.items()}


def words(**given: Any) -> str:
    lists: dict[str, Any] = {"match": [], "destination_ports": [], "ctstate": []}
    return " ".join(words_of({**DEFAULTS, **lists, **given}))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"protocol": "tcp", "destination_port": "80", "jump": "ACCEPT"}, "-p tcp -j ACCEPT --destination-port 80"),
        ({"source": "!10.0.0.0/8"}, "! -s 10.0.0.0/8"),
        ({"ctstate": ["NEW", "RELATED"]}, "-m conntrack --ctstate NEW,RELATED"),
        ({"match": ["state"], "ctstate": ["NEW"]}, "-m state --state NEW"),
        ({"match": ["conntrack"], "ctstate": ["NEW"]}, "-m conntrack --ctstate NEW"),
        ({"syn": "negate"}, "! --syn"),
        ({"reject_with": "tcp-reset"}, "-j REJECT --reject-with tcp-reset"),
        ({"jump": "REJECT", "reject_with": "tcp-reset"}, "-j REJECT --reject-with tcp-reset"),
        ({"limit": "2/s", "limit_burst": "9"}, "-m limit --limit 2/s --limit-burst 9"),
        ({"uid_owner": "!root"}, "-m owner ! --uid-owner root"),
        ({"destination_ports": ["1", "2:3"]}, "-m multiport --dports 1,2:3"),
        ({"src_range": "1.1.1.1-1.1.1.9"}, "-m iprange --src-range 1.1.1.1-1.1.1.9"),
        ({"match_set": "bad", "match_set_flags": "src"}, "-m set --match-set bad src"),
        ({"tcp_flags": {"flags": ["ALL"], "flags_set": ["SYN", "ACK"]}}, "--tcp-flags ALL SYN,ACK"),
        ({"jump": "TEE", "gateway": "10.0.0.1"}, "-j TEE --gateway 10.0.0.1"),
        ({"jump": "DROP", "gateway": "10.0.0.1"}, "-j DROP"),
        ({"jump": "DSCP", "set_dscp_mark": "8"}, "-j DSCP --set-dscp 8"),
        ({"jump": "LOG", "log_prefix": "x: ", "log_level": "info"}, "-j LOG --log-prefix x:  --log-level info"),
        ({"icmp_type": "echo-request", "ip_version": "ipv6"}, "--icmpv6-type echo-request"),
        ({"comment": "a b", "jump": "DROP"}, "-j DROP -m comment --comment a b"),
    ],
)
def test_a_rule(given: dict[str, Any], rule: str) -> None:
    assert words(**given) == rule


def test_a_chain_as_iptables_shows_it() -> None:
    text = '-P INPUT DROP\n-A INPUT -s 10.0.0.1/32 -m comment --comment "-A INPUT" -j DROP\n'
    assert parsed(text, "INPUT") == {
        "exists": True, "policy": "DROP", "rules": ['-s 10.0.0.1/32 -m comment --comment "-A INPUT" -j DROP']
    }  # fmt: skip
    assert parsed("-N WX\n", "WX") == {"exists": True, "policy": None, "rules": []}
