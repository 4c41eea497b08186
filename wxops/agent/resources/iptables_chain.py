"""A chain of the packet filter: its policy and rules, changed by iptables(8), put back whole in one step."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from wxops.agent.change import View
    from wxops.agent.process import Completed
    from wxops.agent.resources import State

PROGRAMS = {"ipv4": "iptables", "ipv6": "ip6tables"}
BUILT_IN = ("INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING")
COMMAND = "command"
"""The key of a wanted state for the words that lead there: what a rule looks like afterwards only iptables knows."""
ASKED = "asked"
"""The key of a predicted state for rules, as the task wrote them: are they there?"""
LOCK_S = "5"
"""How long to wait for another iptables."""


class IptablesChainKind(Kind):
    """The name is VERSION:TABLE:CHAIN, as `name_of` makes it. States: {"exists": False}, or

    policy (of a built-in chain) and rules, as `iptables -S` shows them, without the chain's name.
    """

    def read(self, name: str, view: View) -> State:
        version, table, chain = name.split(":")
        if shutil.which(PROGRAMS[version]) is None and view is not None and view.pending("package"):
            return {"exists": chain in BUILT_IN, "policy": "ACCEPT", "rules": []}  # a check would have installed it
        done = call(version, table, ["-S", chain])
        return parsed(done.stdout, chain) if done.rc == 0 else {"exists": False, "rules": []}

    def same(self, now: State, wanted: State) -> bool:
        if COMMAND in wanted:
            return False
        return all(now.get(key) == value for key, value in wanted.items())

    def merged(self, before: State, wanted: State) -> State:
        kept = {key: value for key, value in before.items() if key != ASKED}
        return dict(kept, **wanted)

    def predict(self, before: State, after: State) -> State:
        asked = dict(before.get(ASKED, {}), **after.get(ASKED, {}))
        return dict({key: value for key, value in after.items() if key != COMMAND}, **{ASKED: asked})

    def fingerprint(self, state: State) -> State:
        """Rules by their number: iptables writes them in another way than who added them."""
        return {"exists": state["exists"], "policy": state.get("policy"), "count": len(state["rules"])}

    def write(self, name: str, state: State) -> None:
        version, table, chain = name.split(":")
        if COMMAND in state:
            must(call(version, table, state[COMMAND]))
        elif state["exists"]:
            self._restore(version, table, chain, state)
        elif call(version, table, ["-S", chain]).rc == 0:
            must(call(version, table, ["-F", chain]))
            must(call(version, table, ["-X", chain]))

    def _restore(self, version: str, table: str, chain: str, state: State) -> None:
        policy = state.get("policy")
        begin = ["-P %s %s" % (chain, policy)] if policy else []
        if call(version, table, ["-S", chain]).rc != 0:
            begin = ["-N " + chain]
        lines = ["*" + table, *begin, "-F " + chain, *("-A %s %s" % (chain, rule) for rule in state["rules"]), "COMMIT"]
        text = "".join(line + "\n" for line in lines).encode()
        must(run([PROGRAMS[version] + "-restore", "--noflush"], stdin=text))

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": name, "after_header": name, "before": _shown(before), "after": _shown(after)}


KIND = IptablesChainKind()


def name_of(version: str, table: str, chain: str) -> str:
    return ":".join((version, table, chain))


def call(version: str, table: str, words: Sequence[str], wait: str = LOCK_S) -> Completed:
    return run([PROGRAMS[version], "-w", wait, "-t", table, *words], environment={"LC_ALL": "C"})


def must(done: Completed) -> None:
    if done.rc != 0:
        raise ModuleFailure((done.stderr or done.stdout).strip(), **done.result())


def chains(version: str, table: str) -> List[str]:
    """All chains of a table."""
    done = call(version, table, ["-S"])
    must(done)
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("-P ", "-N "))]


def parsed(text: str, chain: str) -> State:
    policy: Optional[str] = None
    rules = []
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:2] == ["-P", chain]:
            policy = words[2]
        elif words[:2] == ["-A", chain]:
            rules.append(line[len("-A %s " % chain) :])
    return {"exists": True, "policy": policy, "rules": rules}


def _shown(state: State) -> str:
    if not state["exists"]:
        return ""
    policy: Any = state.get("policy")
    return "".join(line + "\n" for line in [*(["policy " + policy] if policy else []), *state["rules"]])
