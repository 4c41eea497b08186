"""One task on all its hosts at once: results gathered, registered, notified, counted and told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any

from wxops.engine.context import PlayContext
from wxops.engine.events import Status, TaskResult, TaskStarted
from wxops.engine.host_task import HostTask, Outcome, failure
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.plays import Task

Results = dict[str, dict[str, Any]]
CENSORED = {"censored": "the output is hidden because the task says no_log: true"}


class TaskRun:
    """Runs tasks of one play, one after the other, each on several hosts at the same time."""

    def __init__(self, context: PlayContext) -> None:
        self.context = context

    def run(self, task: Task, hosts: list[str], handler: bool = False) -> Results:
        """The results by host. Hosts that fail are marked so in their state."""
        context = self.context
        context.stop_if_asked()
        name = self._name(task, hosts[0])
        once = task.common.run_once is not None and context.variables.templar(hosts[0], task.common).render(
            task.common.run_once
        )
        doing = hosts[:1] if once else hosts
        context.emit(TaskStarted(context.name, name, task.module, tuple(doing), handler))
        results = self._all(task, name, doing)
        if once:
            self._share(task, hosts, results[doing[0]])
        self._fail_together(task, hosts, results)
        return results

    def _name(self, task: Task, host: str) -> str:
        """The task's name with its templates; as written where they cannot be told yet."""
        try:
            name = (
                str(self.context.variables.templar(host, task.common).render(task.name)) if task.name else task.module
            )
        except WxopsError:
            name = str(task.name)
        name = self.context.secrets.mask(name)
        return f"{task.common.role.name} : {name}" if task.common.role else name

    def _all(self, task: Task, name: str, hosts: list[str]) -> Results:
        if len(hosts) == 1:
            return {hosts[0]: self._one(task, name, hosts[0])}
        futures: dict[Future[dict[str, Any]], str] = {
            self.context.pool.submit(self._one, task, name, host): host for host in hosts
        }
        try:
            wait(futures)
        except KeyboardInterrupt:
            self.context.stop.set()
            self.context.connections.cancel()
            wait(futures, timeout=30)
            raise
        return {host: future.result() for future, host in futures.items()}

    def _one(self, task: Task, name: str, host: str) -> dict[str, Any]:
        """One host's part, from rendering to counting. Never raises for what went wrong on that host."""
        context, started, lost = self.context, time.perf_counter(), False
        try:
            host_task = HostTask(context, task, context.module(task), host)
            host_task.label = name
            outcome = host_task.run()
        except HostUnreachable as error:
            outcome, lost = Outcome({"unreachable": True, "changed": False, "msg": str(error)}, []), True
        except WxopsError as error:
            outcome = Outcome(failure(error), [])
        ms = round((time.perf_counter() - started) * 1000, 1)
        status: Status = "unreachable" if lost else self._status(task, host, outcome.result)
        self._conclude(task, name, host, outcome, status, ms)
        return outcome.result

    def _status(self, task: Task, host: str, result: Mapping[str, Any]) -> Status:
        if result.get("failed"):
            if self._flag(task.common.ignore_errors, task, host):
                return "ignored"
            return "rescued" if self.context.states[host].rescuers else "failed"
        if result.get("skipped"):
            return "skipped"
        return "changed" if result.get("changed") else "ok"

    def _flag(self, value: Any, task: Task, host: str) -> bool:
        return value is not None and bool(self.context.variables.templar(host, task.common).render(value))

    def _conclude(self, task: Task, name: str, host: str, outcome: Outcome, status: Status, ms: float) -> None:
        """What a result leads to: variables, handlers, the host's fate, counts and events."""
        state, result = self.context.states[host], outcome.result
        if status == "unreachable" and self._flag(task.common.ignore_unreachable, task, host):
            status = "ignored"
        if task.register:
            state.registered[task.register] = result
        for each in [result, *(item for _, item in outcome.items)]:
            self._learn(task, host, each)
        if status == "changed":
            self._notify(task, host)
        if status in ("failed", "rescued", "unreachable"):
            state.failed = status != "unreachable"
            state.unreachable = status == "unreachable"
            state.failed_task = {"name": name, "action": task.module, "args": task.arguments, "path": str(task.origin)}
            state.failed_result = result
        state.count("failed" if status == "rescued" else status)
        self._tell(task, name, host, outcome, status, ms)

    def _learn(self, task: Task, host: str, result: Mapping[str, Any]) -> None:
        """Variables that a result carries: facts, and what set_fact and include_vars set."""
        state = self.context.states[host]
        facts = result.get("ansible_facts")
        if not facts or result.get("failed"):
            return
        if task.module == "set_fact":
            state.registered.update(facts)
            if result.get("_cacheable"):
                state.facts.update(facts)
        elif task.module == "include_vars":
            state.included.update(facts)
        else:
            state.learn(facts)

    def _notify(self, task: Task, host: str) -> None:
        templar, state = self.context.variables.templar(host, task.common), self.context.states[host]
        for entry in task.common.notify:
            names = templar.render(entry)
            for name in names if isinstance(names, list) else [names]:
                if name not in state.notified:
                    state.notified.append(str(name))

    def _tell(self, task: Task, name: str, host: str, outcome: Outcome, status: Status, ms: float) -> None:
        context = self.context
        hidden = self._flag(task.common.no_log, task, host)

        def told(result: Mapping[str, Any]) -> dict[str, Any]:
            if hidden:
                return {**CENSORED, "changed": bool(result.get("changed"))}
            masked: dict[str, Any] = context.secrets.mask_data(dict(result))
            return masked

        where = str(task.origin)
        for item, result in outcome.items:
            item_status = self._status(task, host, result)
            label = CENSORED["censored"] if hidden else context.secrets.mask_data(item.label)
            item_ms = float(result.get("ms", 0))
            context.emit(
                TaskResult(
                    host, context.name, name, task.module, item_status, item_ms, told(result), label, True, where
                )
            )
        context.emit(TaskResult(host, context.name, name, task.module, status, ms, told(outcome.result), where=where))

    def _share(self, task: Task, hosts: list[str], result: dict[str, Any]) -> None:
        """run_once: the others know what came out, and share its failure."""
        first, *others = hosts
        for host in others:
            state = self.context.states[host]
            if task.register:
                state.registered[task.register] = result
            self._learn(task, host, result)
            if self.context.states[first].failed:
                state.failed = True

    def _fail_together(self, task: Task, hosts: list[str], results: Results) -> None:
        """any_errors_fatal and max_fail_percentage: one host's failure ends the play for all."""
        context = self.context
        lost = [host for host in results if not context.states[host].takes_part and not context.states[host].ended]
        if not lost:
            return
        allowed = context.play.max_fail_percentage
        everyone = list(context.variables.batch)
        gone = [host for host in everyone if context.states[host].failed or context.states[host].unreachable]
        too_many = allowed is not None and len(gone) * 100 / max(1, len(everyone)) > float(allowed)
        if too_many or self._flag(task.common.any_errors_fatal, task, hosts[0]):
            for host in everyone:
                context.states[host].failed = context.states[host].failed or not context.states[host].unreachable
