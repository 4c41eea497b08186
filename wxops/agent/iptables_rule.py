"""What a task says of a rule, as the words that iptables(8) takes, in the order in which it wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

ICMP_TYPE = {"ipv4": ["--icmp-type"], "ipv6": ["--icmpv6-type"], "both": ["--icmp-type", "--icmpv6-type"]}
OPTIONS_BEFORE_PORTS = (("gateway", "--gateway"), ("log_prefix", "--log-prefix"), ("log_level", "--log-level"),
                        ("to_destination", "--to-destination"))  # fmt: skip
OPTIONS = (("to_source", "--to-source"), ("goto", "-g"), ("in_interface", "-i"), ("out_interface", "-o"),
           ("fragment", "-f"), ("set_counters", "-c"), ("source_port", "--source-port"),
           ("destination_port", "--destination-port"), ("to_ports", "--to-ports"))  # fmt: skip


def words_of(rule: Dict[str, Any]) -> List[str]:
    """Options before the match or target that they belong to are a mistake for iptables: each follows its own."""
    words: List[str] = []
    for name, option in (("protocol", "-p"), ("source", "-s"), ("destination", "-d")):
        words += _option(rule[name], option)
    for match in rule["match"]:
        words += _option(match, "-m")
    flags = rule["tcp_flags"] or {}
    if "flags" in flags and "flags_set" in flags:
        words += ["--tcp-flags", ",".join(flags["flags"]), ",".join(flags["flags_set"])]
    words += _option(rule["jump"], "-j")
    for name, option in OPTIONS_BEFORE_PORTS:
        words += _option(rule[name], option) if name != "gateway" or (rule["jump"] or "").lower() == "tee" else []
    if rule["destination_ports"]:
        words += ["-m", "multiport", "--dports", ",".join(rule["destination_ports"])]
    for name, option in OPTIONS:
        words += _option(rule[name], option)
    return words + _dscp(rule) + _matches(rule) + _ending(rule)


def _option(value: Optional[str], option: str) -> List[str]:
    """`!` before a value turns its meaning round."""
    if not value:
        return []
    return ["!", option, value[1:].strip()] if value.startswith("!") else [option, value]


def _dscp(rule: Dict[str, Any]) -> List[str]:
    words = []
    for name, option in (("set_dscp_mark", "--set-dscp"), ("set_dscp_mark_class", "--set-dscp-class")):
        if rule[name]:
            words += _option(rule[name], option) + ([] if rule["jump"].lower() == "dscp" else ["-j", "DSCP"])
    return words


def _matches(rule: Dict[str, Any]) -> List[str]:
    words = {"match": ["--syn"], "negate": ["!", "--syn"]}.get(rule["syn"], [])
    states = ",".join(rule["ctstate"])
    if states:
        old = "state" in rule["match"] and "conntrack" not in rule["match"]
        words = words + _match("conntrack", rule, old) + ["--state" if old else "--ctstate", states]
    if rule["src_range"] or rule["dst_range"]:
        words = words + _match("iprange", rule)
        words = words + _option(rule["src_range"], "--src-range") + _option(rule["dst_range"], "--dst-range")
    if rule["match_set"]:
        words = words + _match("set", rule) + _option(rule["match_set"], "--match-set")
        words = words + ([rule["match_set_flags"]] if rule["match_set_flags"] else [])
    if rule["limit"] or rule["limit_burst"]:
        words = words + ["-m", "limit"] + _option(rule["limit"], "--limit")
        words = words + _option(rule["limit_burst"], "--limit-burst")
    for name, option in (("uid_owner", "--uid-owner"), ("gid_owner", "--gid-owner")):
        if rule[name]:
            words = words + ["-m", "owner"] + _option(rule[name], option)
    return words


def _match(name: str, rule: Dict[str, Any], known: bool = False) -> List[str]:
    return [] if known or name in rule["match"] else ["-m", name]


def _ending(rule: Dict[str, Any]) -> List[str]:
    words: List[str] = []
    if rule["reject_with"]:
        words += ([] if rule["jump"] else ["-j", "REJECT"]) + ["--reject-with", rule["reject_with"]]
    for option in ICMP_TYPE[rule["ip_version"]]:
        words += _option(rule["icmp_type"], option)
    return words + (["-m", "comment", "--comment", rule["comment"]] if rule["comment"] else [])
