"""Ubuntu's simple firewall."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.ufw import COMMAND, POLICIES_OF_NEW, TUPLE, call, rules

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change

ALIASES = {"policy": "default", "from": "from_ip", "src": "from_ip", "dest": "to_ip", "to": "to_ip", "port": "to_port",
           "protocol": "proto", "app": "name", "if": "interface", "if_in": "interface_in",
           "if_out": "interface_out"}  # fmt: skip
NUMBERED = re.compile(r"^\[ *(\d+)\] ")


def ufw(
    change: Change,
    state: Optional[Literal["disabled", "enabled", "reloaded", "reset"]] = None,
    default: Optional[Literal["allow", "deny", "reject"]] = None,
    direction: Optional[Literal["in", "incoming", "out", "outgoing", "routed"]] = None,
    logging: Optional[Literal["on", "off", "low", "medium", "high", "full"]] = None,
    rule: Optional[Literal["allow", "deny", "limit", "reject"]] = None,
    insert: Optional[int] = None,
    insert_relative_to: Literal["first-ipv4", "first-ipv6", "last-ipv4", "last-ipv6", "zero"] = "zero",
    delete: bool = False,
    route: bool = False,
    log: bool = False,
    from_ip: str = "any",
    from_port: Optional[str] = None,
    to_ip: str = "any",
    to_port: Optional[str] = None,
    proto: Optional[Literal["any", "tcp", "udp", "ipv6", "esp", "ah", "gre", "igmp", "vrrp"]] = None,
    name: Optional[str] = None,
    interface: Optional[str] = None,
    interface_in: Optional[str] = None,
    interface_out: Optional[str] = None,
    comment: Optional[str] = None,
) -> Dict[str, Any]:
    """Set up ufw: switch it on or off, its policies, its logging, a rule.

    state: enabled, disabled, reloaded, or reset to what the package brought.
    default: the policy for what no rule decides, in `direction`.
    direction: of a policy incoming (the default), outgoing or routed; of a rule in or out.
    logging: on, off or a level.
    rule: what happens to what the rule matches.
    insert: the rule's number.
    insert_relative_to: where `insert` counts from.
    delete: take the rule out.
    route: the rule is about what is passed on.
    log: log new connections that match.
    from_ip: whence; an address, a network or any.
    from_port: its port.
    to_ip: whereto.
    to_port: its port, FIRST:LAST or several with commas.
    proto: the protocol.
    name: a profile of /etc/ufw/applications.d instead of ports.
    interface: the network interface, in `direction`.
    interface_in: where packets come in; with interface_out in routed rules.
    interface_out: where packets leave.
    comment: kept with the rule.
    """
    given = dict(locals())
    _refuse(given)
    task = Task(change)
    if state:
        task.switch(state)
    if default:
        task.policy(default, direction or "incoming")
    if rule:
        task.rule(_words(given), insert if not delete else None, insert_relative_to, delete, bool(route))
    if logging:
        task.logging(logging)
    return {"commands": task.commands, **({} if change.check else {"msg": call(["status", "verbose"]).rstrip()})}


def _refuse(given: Dict[str, Any]) -> None:
    if not any(given[key] for key in ("state", "default", "rule", "logging")):
        raise ModuleFailure("one of the following is required: state, default, rule, logging")
    if given["name"] and given["proto"] and given["logging"]:
        raise ModuleFailure("parameters are mutually exclusive: name|proto|logging")
    if given["direction"] and (given["interface_in"] or given["interface_out"]):
        raise ModuleFailure("parameters are mutually exclusive: direction|interface_in, interface_out")
    if given["interface"] and not given["direction"]:
        raise ModuleFailure("missing parameter(s) required by 'interface': direction")
    if given["default"] and given["direction"] not in ("outgoing", "incoming", "routed", None):
        raise ModuleFailure('For default, direction must be one of "outgoing", "incoming" and "routed"')
    if given["rule"] and given["direction"] not in ("in", "out", None):
        raise ModuleFailure('For rules, direction must be one of "in" and "out"')
    if given["rule"] and not given["route"] and given["interface_in"] and given["interface_out"]:
        raise ModuleFailure("Only route rules can combine interface_in and interface_out")


def _words(given: Dict[str, Any]) -> List[str]:
    """The rule in ufw's long form, after its verb and its place."""
    words = [given["rule"]]
    words += [given["direction"]] if given["direction"] else []
    words += ["on", given["interface"]] if given["interface"] else []
    words += ["in", "on", given["interface_in"]] if given["interface_in"] else []
    words += ["out", "on", given["interface_out"]] if given["interface_out"] else []
    words += ["log"] if given["log"] else []
    parts = (("from_ip", "from"), ("from_port", "port"), ("to_ip", "to"), ("to_port", "port"), ("proto", "proto"),
             ("name", "app"), ("comment", "comment"))  # fmt: skip
    for key, word in parts:
        words += [word, given[key]] if given[key] else []
    return words


class Task:
    """What a task does to the firewall, command by command."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self.commands: List[str] = []

    def switch(self, state: str) -> None:
        now = self._now()
        if state in ("enabled", "disabled"):
            if now["enabled"] != (state == "enabled"):
                self._set(["--force", state[:-1]], {"enabled": state == "enabled"})
        elif state == "reset":
            self._set(["--force", "reset"], {"enabled": False, "rules": [], "coming": True, **POLICIES_OF_NEW})
        else:
            self._set(["reload"], {})

    def policy(self, policy: str, direction: str) -> None:
        if self._now()[direction] != policy:
            self._set(["default", policy, direction], {direction: policy})

    def logging(self, level: str) -> None:
        now = self._now()["logging"]
        if level != now and not (level == "on" and now != "off"):
            self._set(["logging", level], {"logging": "low" if level == "on" else level})

    def rule(self, rule: List[str], insert: Optional[int], relative_to: str, delete: bool, route: bool) -> None:
        verb = [*(["route"] if route else []), *(["delete"] if delete else [])]
        number = None if insert is None else self._number(insert, relative_to)
        words = [*verb, *(["insert", str(number)] if number is not None else []), *rule]
        now = self._now()["rules"]
        after = self._tried(words, now, [" ".join(rule)] if not delete else [])
        if after != now:
            self._set(words, {"rules": after})

    def _tried(self, words: List[str], now: List[str], when_new: List[str]) -> List[str]:
        """The rules that there would be. `--dry-run` tells it of the disk; a check may have come further than that."""
        if self._now().get("coming"):
            return [*now, *(each for each in when_new if each not in now)]
        disk = rules()
        after = tried(call(["--dry-run", *words]), *disk)
        if now == [*disk[0], *disk[1]]:
            return after
        gone = [each for each in [*disk[0], *disk[1]] if each not in after]
        new = [each for each in after if each not in [*disk[0], *disk[1], *now]]
        return [each for each in now if each not in gone] + new

    def _number(self, insert: int, relative_to: str) -> Optional[int]:
        """None: at the end, as ufw takes no number that is too large."""
        if relative_to == "zero":
            return insert
        matches = [(NUMBERED.match(line), "(v6)" in line) for line in call(["status", "numbered"]).splitlines()]
        lines = [(int(match.group(1)), six) for match, six in matches if match is not None]
        fours, sixes = [number for number, six in lines if not six], [number for number, six in lines if six]
        last = max(fours + sixes, default=0)
        start = {
            "first-ipv4": 1, "last-ipv4": max(fours, default=1),
            "first-ipv6": min(sixes, default=max(fours, default=0) + 1), "last-ipv6": max(sixes, default=last + 1),
        }[relative_to]  # fmt: skip
        return insert + start if insert + start <= last else None

    def _now(self) -> Dict[str, Any]:
        return self._change.state("ufw", "firewall")

    def _set(self, words: List[str], wanted: Dict[str, Any]) -> None:
        self.commands.append("ufw " + " ".join(words))
        self._change.set("ufw", "firewall", dict(wanted, **{COMMAND: words}))


def tried(shown: str, four: List[str], six: List[str]) -> List[str]:
    """The rules of IPv4 and then IPv6, of which `ufw --dry-run` shows those that change, as it would write them."""
    for section in shown.split("*filter")[1:]:
        found = [line for line in section.splitlines() if line.startswith(TUPLE)]
        if "ufw6-" in section:
            six = found
        else:
            four = found
    return [*four, *six]
