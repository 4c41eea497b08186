"""Rules of the running packet filter; what is to last over a boot is saved by another tool (netfilter-persistent)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.iptables_rule import words_of
from wxops.agent.resources.iptables_chain import ASKED, COMMAND, LOCK_S, call, chains, name_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change

LOGGING = ("log_prefix", "log_level")


def iptables(
    change: Change,
    chain: Optional[str] = None,
    table: Literal["filter", "nat", "mangle", "raw", "security"] = "filter",
    state: Literal["absent", "present"] = "present",
    action: Literal["append", "insert"] = "append",
    rule_num: Optional[str] = None,
    ip_version: Literal["ipv4", "ipv6", "both"] = "ipv4",
    protocol: Optional[str] = None,
    source: Optional[str] = None,
    destination: Optional[str] = None,
    match: Optional[List[str]] = None,
    tcp_flags: Optional[Dict[str, Any]] = None,
    jump: Optional[str] = None,
    gateway: Optional[str] = None,
    log_prefix: Optional[str] = None,
    log_level: Optional[
        Literal[
            "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning", "notice", "info",
            "debug"
        ]
    ] = None,
    goto: Optional[str] = None,
    in_interface: Optional[str] = None,
    out_interface: Optional[str] = None,
    fragment: Optional[str] = None,
    set_counters: Optional[str] = None,
    source_port: Optional[str] = None,
    destination_port: Optional[str] = None,
    destination_ports: Optional[List[str]] = None,
    to_ports: Optional[str] = None,
    to_destination: Optional[str] = None,
    to_source: Optional[str] = None,
    syn: Literal["ignore", "match", "negate"] = "ignore",
    set_dscp_mark: Optional[str] = None,
    set_dscp_mark_class: Optional[str] = None,
    comment: Optional[str] = None,
    ctstate: Optional[List[str]] = None,
    src_range: Optional[str] = None,
    dst_range: Optional[str] = None,
    match_set: Optional[str] = None,
    match_set_flags: Optional[Literal["src", "dst", "src,dst", "dst,src", "dst,dst", "src,src"]] = None,
    limit: Optional[str] = None,
    limit_burst: Optional[str] = None,
    uid_owner: Optional[str] = None,
    gid_owner: Optional[str] = None,
    reject_with: Optional[str] = None,
    icmp_type: Optional[str] = None,
    flush: bool = False,
    policy: Optional[Literal["ACCEPT", "DROP", "QUEUE", "RETURN"]] = None,
    wait: Optional[str] = None,
    chain_management: bool = False,
    numeric: bool = False,
) -> Dict[str, Any]:  # fmt: skip
    """Put a rule into a chain of the running kernel, or take it out. A rollback puts the chain back as it was.

    chain: INPUT, FORWARD, OUTPUT, or one of your own.
    table: which table the chain is in.
    state: present or absent.
    action: append the rule, or insert it at the top (or at `rule_num`).
    rule_num: the place of a rule that is inserted.
    ip_version: ipv4, ipv6 or both.
    protocol: tcp, udp, icmp, all... `!` before a value, here and below, means every other.
    source: an address, network or host name.
    destination: an address, network or host name.
    match: extensions to match with (-m).
    tcp_flags: `flags` to look at, and of these `flags_set`.
    jump: what happens to a packet that matches: ACCEPT, DROP, LOG, a chain.
    gateway: of jump TEE, where the copy goes.
    log_prefix: of jump LOG, the default with it.
    log_level: of jump LOG, the default with it.
    goto: a chain to go on in without coming back.
    in_interface: where the packet came in.
    out_interface: where it leaves.
    fragment: second and further fragments.
    set_counters: packets and bytes to begin to count from.
    source_port: a port or range FIRST:LAST.
    destination_port: a port or range FIRST:LAST.
    destination_ports: several of these.
    to_ports: of jump REDIRECT.
    to_destination: of jump DNAT.
    to_source: of jump SNAT.
    syn: match connections that begin, or with negate all but these.
    set_dscp_mark: of jump DSCP.
    set_dscp_mark_class: of jump DSCP.
    comment: kept with the rule.
    ctstate: states of the connection (NEW, ESTABLISHED...).
    src_range: addresses FIRST-LAST.
    dst_range: addresses FIRST-LAST.
    match_set: the name of an ipset.
    match_set_flags: what of the packet is looked up in it.
    limit: how often the rule may match, as 5/minute.
    limit_burst: how often before that counts.
    uid_owner: who sends.
    gid_owner: which group sends.
    reject_with: what jump REJECT, the default with it, answers.
    icmp_type: a type of ICMP message.
    flush: take all rules out of the chain, or without `chain` out of the table.
    policy: what happens to packets that no rule of a built-in chain decides.
    wait: seconds to wait for another iptables.
    chain_management: without a rule, make the chain or remove it.
    numeric: taken for Ansible's sake: nothing is ever looked up in DNS.
    """
    given = dict(locals())
    given.update({name: given[name] or [] for name in ("match", "destination_ports", "ctstate")})
    rule = words_of(given)
    _refuse(given)
    if any(given[name] for name in LOGGING) and jump is None:
        given["jump"] = "LOG"
    for version in ("ipv4", "ipv6") if ip_version == "both" else (ip_version,):
        task = Task(change, version, table, chain, wait)
        if flush:
            task.flush()
        elif policy:
            task.set_policy(policy)
        elif rule:
            task.put(words_of(given), state == "present", rule_num or "" if action == "insert" else None)
        elif chain_management:
            task.manage(state == "present")
    return {"ip_version": ip_version, "table": table, "chain": chain, "flush": flush, "rule": " ".join(rule),
            "state": state, "chain_management": chain_management, "wait": wait}  # fmt: skip


def _refuse(given: Dict[str, Any]) -> None:
    if given["flush"] and given["policy"]:
        raise ModuleFailure("parameters are mutually exclusive: flush|policy")
    if given["set_dscp_mark"] and given["set_dscp_mark_class"]:
        raise ModuleFailure("parameters are mutually exclusive: set_dscp_mark|set_dscp_mark_class")
    if (given["set_dscp_mark"] or given["set_dscp_mark_class"]) and not given["jump"]:
        raise ModuleFailure("set_dscp_mark and set_dscp_mark_class need `jump`")
    if not given["chain"] and not given["flush"]:
        raise ModuleFailure("flush is False but all of the following are missing: chain")
    if (given["jump"] or "").lower() == "tee" and not given["gateway"]:
        raise ModuleFailure("jump is TEE but all of the following are missing: gateway")
    if any(given[name] for name in LOGGING) and given["jump"] not in (None, "LOG"):
        raise ModuleFailure("Logging options can only be used with the LOG jump target.")


class Task:
    """What is to be done in one table of one version."""

    def __init__(self, change: Change, version: str, table: str, chain: Optional[str], wait: Optional[str]) -> None:
        self.change, self.version, self.table, self.chain = change, version, table, chain or ""
        self.wait = wait or LOCK_S
        self.name = name_of(version, table, self.chain)

    def flush(self) -> None:
        for chain in [self.chain] if self.chain else chains(self.version, self.table):
            name = name_of(self.version, self.table, chain)
            if self.change.state("iptables_chain", name)["rules"]:
                self.change.set("iptables_chain", name, {"rules": [], COMMAND: ["-F", chain]})

    def set_policy(self, policy: str) -> None:
        now = self.change.state("iptables_chain", self.name)
        if not now.get("policy"):
            raise ModuleFailure("Can't detect current policy: %s is no built-in chain of %s" % (self.chain, self.table))
        if now["policy"] != policy:
            self._set({"policy": policy, COMMAND: ["-P", self.chain, policy]})

    def manage(self, wanted: bool) -> None:
        now = self.change.state("iptables_chain", self.name)
        if now["exists"] != wanted:
            command = ["-N" if wanted else "-X", self.chain]
            self._set({"exists": wanted, "rules": [] if wanted else now["rules"], COMMAND: command})

    def put(self, rule: List[str], wanted: bool, number: Optional[str]) -> None:
        """number: where to insert it ("" is the top); None appends it."""
        text, now = " ".join(rule), self.change.state("iptables_chain", self.name)
        if self._is_there(rule, now) == wanted:
            return
        rules = list(now["rules"])
        if not wanted:
            words = ["-D", self.chain, *rule]
            rules = [each for each in rules if each != text] if text in rules else rules[:-1]
        elif number is None:
            words = ["-A", self.chain, *rule]
            rules.append(text)
        else:
            words = ["-I", self.chain, *([number] if number else []), *rule]
            rules.insert(int(number or 1) - 1, text)
        self._set({"rules": rules, COMMAND: words, ASKED: {text: wanted}})

    def _is_there(self, rule: List[str], now: Dict[str, Any]) -> bool:
        """As iptables sees it, unless a check has already said what would be."""
        asked = now.get(ASKED, {}).get(" ".join(rule))
        if asked is not None or not now["exists"]:
            return bool(asked)
        if not now["rules"]:
            return False
        return call(self.version, self.table, ["-C", self.chain, *rule], self.wait).rc == 0

    def _set(self, wanted: Dict[str, Any]) -> None:
        wanted = dict(wanted, **{COMMAND: ["-w", self.wait, *wanted[COMMAND]]}) if self.wait != LOCK_S else wanted
        self.change.set("iptables_chain", self.name, wanted)
