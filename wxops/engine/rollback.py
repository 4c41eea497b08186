"""Taking a run back: a look at every host first, then, if nothing speaks against it, the steps in reverse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxops.engine.acted import likely, reach_as
from wxops.engine.connections import Acted, Connections
from wxops.engine.events import Event, Notice, PlayStarted, Recap, RunStarted, Status, TaskResult, TaskStarted
from wxops.engine.options import RunOptions
from wxops.engine.record import PastRun, RunRecord, describe, new_run_id
from wxops.engine.run import EXIT_ERROR, EXIT_FAILED, EXIT_INTERRUPTED, exit_code
from wxops.engine.state import HostState
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.inventory import Inventory
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity

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
        connections = Connections(RunIdentity(self.run, about, options.check), options, record.agent_used)
        work = _Work(self, connections, record)
        code = EXIT_ERROR
        try:
            work.tell(RunStarted(self.run, (f"rollback of {self.past.run}",), options.check))
            code = work.all()
        except KeyboardInterrupt:
            code = EXIT_INTERRUPTED
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
        self._secrets = SecretRegistry()
        chosen = [host.name for host in rollback.inventory.select("all", rollback.options.limit)]
        recorded: Acted = rollback.past.about.get("agents") or {}
        self.agents = recorded if rollback.past.is_recorded else {name: self._might_have_acted(name) for name in chosen}
        known = rollback.inventory.hosts
        self.hosts = [name for name in self.agents if name in chosen or name not in known]
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
        if not past.is_recorded and not any(plan.get("known", True) for plan in plans.values()):
            self.tell(
                Notice(f"no host knows a run {past.run}, and none is recorded here; as root a host is asked with -b")
            )
            return EXIT_FAILED
        for host, plan in plans.items():
            for line in plan.get("irreversible", []):
                self.tell(Notice(f"{host}: cannot be taken back: {line}"))
            for run in plan.get("started", []):
                self.tell(Notice(f"{host}: run {run}, which a task of it started, is not taken back with it"))
            for path in plan.get("left", []):
                self.tell(Notice(f"{host}: {path} stays: others have put files there since (--force takes it away)"))
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
            try:
                results = list(pool.map(lambda host: self._host(host, name, check), hosts))
            except KeyboardInterrupt:  # or leaving the pool would wait for every host's end
                pool.shutdown(wait=False, cancel_futures=True)
                self.connections.cancel()
                raise
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
        shown = self._secrets.mask_data(dict(shown))
        self.tell(TaskResult(host, "rollback", name, "rollback", status, float(result.get("ms", 0)), shown))
        return result

    def _ask(self, host: str, check: bool) -> dict[str, Any]:
        """Every agent that acted there takes its own steps back, the last one first."""
        whole: dict[str, Any] = {"changed": False, "diff": [], "irreversible": [], "left": [], "started": [],
                                 "steps_back": 0}  # fmt: skip
        known = False
        for who in reversed(self.agents[host]):
            result = self._one(host, who, check)
            for key in ("diff", "irreversible", "left", "started", "steps_back"):
                whole[key] += result.get(key, type(whole[key])())
            whole["changed"] = whole["changed"] or result.get("changed", False)
            known = known or result.get("known", True)
            if result.get("failed"):
                return {**whole, "failed": True, "msg": result.get("msg", "")}
        return {**whole, "known": known}

    def _one(self, host: str, who: Mapping[str, str | None], check: bool) -> dict[str, Any]:
        """The part of one user; logged in as the run was, unless this rollback says otherwise."""
        templar = self._templar(host)
        variables, become = reach_as(templar, who, self.rollback.options)
        password = become.password if become else None
        self._secrets.add([password or "", self.rollback.inventory.secrets()])
        with self.connections.agent(host, variables, become) as agent:
            arguments = {"run": self.rollback.past.run, "force": self.rollback.force}
            ((_, result),) = agent.run(
                "rollback", [arguments], task=f"rollback of {self.rollback.past.run}", check=check
            )
        return dict(result)

    def _might_have_acted(self, host: str) -> list[dict[str, str | None]]:
        """Of another controller's run: whom the inventory and the flags name. Who has no journal there says so."""
        return likely(self._templar(host), self.rollback.options)

    def _templar(self, host: str) -> Templar:
        options = self.rollback.options
        known = self.rollback.inventory.variables(host) if host in self.rollback.inventory.hosts else {}
        return Templar({**known, **options.extra_vars}, vault=options.vault, secrets=self._secrets)
