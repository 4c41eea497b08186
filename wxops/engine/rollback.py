"""Taking a run back: a look at every host first, then, if nothing speaks against it, the steps in reverse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxops.engine.become import PASSWORDS
from wxops.engine.connections import Connections
from wxops.engine.events import Event, Notice, PlayStarted, Recap, RunStarted, Status, TaskResult, TaskStarted
from wxops.engine.options import RunOptions
from wxops.engine.record import PastRun, RunRecord, describe, new_run_id
from wxops.engine.run import EXIT_FAILED, EXIT_INTERRUPTED, exit_code
from wxops.engine.state import HostState
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.inventory import Inventory
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity
from wxops.transport.options import Become

PLAN, DO = "what would be taken back", "take back"


@dataclass
class Rollback:
    """Takes `past` back on its hosts. force: also where somebody else has changed something since."""

    past: PastRun
    inventory: Inventory
    options: RunOptions
    emit: Callable[[Event], None]
    records: Path
    force: bool = False
    run: str = field(default_factory=new_run_id)

    def execute(self) -> int:
        """The exit code, as a run's. Nothing is touched anywhere when one host refuses."""
        options = self.options
        about = describe(self.run, (), kind="rollback", of=self.past.run, check=options.check, limit=options.limit,
                         inventory=self.past.about.get("inventory"))  # fmt: skip
        record = RunRecord(self.records, about)
        connections = Connections(RunIdentity(self.run, about, options.check), options)
        work = _Work(self, connections, record)
        code = EXIT_INTERRUPTED
        try:
            work.tell(RunStarted(self.run, (f"rollback of {self.past.run}",), options.check))
            code = work.all()
        except KeyboardInterrupt:
            connections.cancel()
            work.tell(Notice("interrupted: run the same rollback again to finish it"))
        finally:
            used, traffic = connections.used(), connections.traffic()
            connections.close()
            work.tell(
                Recap(self.run, {name: state.counts for name, state in work.states.items()}, code == EXIT_INTERRUPTED)
            )
            record.finish(code, used, traffic)
        if code == 0 and not options.check and not options.limit:
            self.past.mark(taken_back_by=self.run)
        return code


class _Work:
    """The two passes over the hosts."""

    def __init__(self, rollback: Rollback, connections: Connections, record: RunRecord) -> None:
        self.rollback, self.connections, self._record = rollback, connections, record
        self._telling = threading.Lock()
        self.agents: Mapping[str, list[str | None]] = rollback.past.about.get("agents") or {}
        chosen = {host.name for host in rollback.inventory.select("all", rollback.options.limit)}
        self.hosts = [name for name in self.agents if name in chosen or name not in rollback.inventory.hosts]
        self.states = {name: HostState(name) for name in self.hosts}

    def tell(self, event: Event) -> None:
        with self._telling:
            self._record.take(event)
            self.rollback.emit(event)

    def all(self) -> int:
        options, past = self.rollback.options, self.rollback.past
        self.tell(PlayStarted(f"rollback of {past.run}", tuple(self.hosts)))
        if not self.hosts:
            self.tell(Notice(f"run {past.run} reached no host: there is nothing to take back"))
            return 0
        plans = self._pass(PLAN, check=True)
        for host, plan in plans.items():
            for line in plan.get("irreversible", []):
                self.tell(Notice(f"{host}: cannot be taken back: {line}"))
        if options.check:
            return exit_code(self.states)
        refused = [host for host, plan in plans.items() if plan.get("failed") and not plan.get("unreachable")]
        if refused:
            self.tell(Notice(f"nothing was taken back anywhere, because of {', '.join(refused)}"))
            return EXIT_FAILED
        self._pass(DO, check=False)
        return exit_code(self.states)

    def _pass(self, name: str, check: bool) -> dict[str, Mapping[str, Any]]:
        hosts = [host for host in self.hosts if self.states[host].takes_part]
        self.tell(TaskStarted("rollback", name, "rollback", tuple(hosts)))
        with ThreadPoolExecutor(max(1, min(self.rollback.options.forks, len(hosts)))) as pool:
            results = list(pool.map(lambda host: self._host(host, name, check), hosts))
        return dict(zip(hosts, results, strict=True))

    def _host(self, host: str, name: str, check: bool) -> Mapping[str, Any]:
        status: Status
        try:
            result = self._ask(host, check)
            status = "failed" if result.get("failed") else "changed" if result.get("changed") else "ok"
        except HostUnreachable as error:
            result, status = {"unreachable": True, "failed": True, "msg": str(error)}, "unreachable"
        except WxopsError as error:
            result, status = {"failed": True, "msg": str(error)}, "failed"
        state = self.states[host]
        state.failed, state.unreachable = status == "failed", status == "unreachable"
        if check == self.rollback.options.check or status in ("failed", "unreachable"):
            state.count(status)
        shown = result if check == self.rollback.options.check else {k: v for k, v in result.items() if k != "diff"}
        self.tell(TaskResult(host, "rollback", name, "rollback", status, float(result.get("ms", 0)), shown))
        return result

    def _ask(self, host: str, check: bool) -> dict[str, Any]:
        """Every agent that acted there takes its own steps back, the last one first."""
        whole: dict[str, Any] = {"changed": False, "diff": [], "irreversible": [], "steps_back": 0}
        for user in reversed(self.agents[host]):
            result = self._one(host, user, check)
            whole["diff"] += result.get("diff", [])
            whole["irreversible"] += result.get("irreversible", [])
            whole["steps_back"] += result.get("steps_back", 0)
            whole["changed"] = whole["changed"] or result.get("changed", False)
            if result.get("failed"):
                return {**whole, "failed": True, "msg": result.get("msg", "")}
        return whole

    def _one(self, host: str, user: str | None, check: bool) -> dict[str, Any]:
        options = self.rollback.options
        variables = Templar(
            {**self.rollback.inventory.variables(host), **options.extra_vars},
            vault=options.vault,
            secrets=SecretRegistry(),
        ).namespace()
        password = next(filter(None, map(variables.get, PASSWORDS)), None) or options.become_password
        become = Become(user, password=str(password) if password else None) if user else None
        with self.connections.agent(host, variables, become) as agent:
            arguments = {"run": self.rollback.past.run, "force": self.rollback.force}
            ((_, result),) = agent.run(
                "rollback", [arguments], task=f"rollback of {self.rollback.past.run}", check=check
            )
        return dict(result)
