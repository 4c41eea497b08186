"""One task on all its hosts at once: results gathered, registered, notified, counted and told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wxops import crash
from wxops.engine.context import PlayContext
from wxops.engine.delegation import delegate_of
from wxops.engine.events import Status, TaskResult, TaskStarted
from wxops.engine.handlers import Handlers, UnknownHandler
from wxops.engine.host_task import HostTask, Outcome
from wxops.engine.judging import failure, is_failed, item_results, refused, registered, told
from wxops.engine.loops import Item
from wxops.engine.strategies import FOR_ALL, lanes, refuse_for_all
from wxops.engine.values import number, percentage, truth
from wxops.errors import BecomeRefused, HostUnreachable, WxopsError
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.plays import Task, as_tags
from wxops.playbook.source import SourceStr
from wxops.playbook.task_loader import DYNAMIC

Results = dict[str, dict[str, Any]]
NOTIFYING_NOBODY = ("group_by", "add_host")
"""What changes the inventory changes no host: in Ansible, too, its `notify` reaches no handler."""
CENSORED = {"censored": "the output is hidden because the task says no_log: true"}


class TaskRun:
    """Runs tasks of one play, one after the other, each on several hosts at the same time."""

    def __init__(self, context: PlayContext, handlers: Handlers) -> None:
        self.context, self._handlers = context, handlers
        self._including: dict[str, Callable[[], None]] = {}
        """Host -> tells its include as done: once what it brings in has been read, or else it would be told twice."""

    def run(self, task: Task, hosts: list[str], handler: bool = False) -> Results:
        """The results by host. Hosts that fail are marked so in their state."""
        context = self.context
        context.stop_if_asked()
        name = self._name(task, hosts[0])
        refuse_for_all(context.play, task)
        once = task.common.run_once is not None and truth(
            self._rendered(task.common.run_once, task, hosts[0]), "run_once", task.origin
        )
        if context.pace is not None:
            self._notice_unheeded(task, once)
            once = False
        doing = hosts[:1] if once or task.module in FOR_ALL else hosts
        if not context.allows(name, hosts[0]):
            return {}
        context.emit(TaskStarted(context.name, name, task.module, tuple(doing), handler, str(task.origin)))
        results = self._all(task, name, doing)
        context.additions.settle(context.variables)
        if once:
            self._share(task, hosts, results[doing[0]])
        if context.pace is None:
            self._fail_together(task, hosts, results, once or task.module in FOR_ALL)
        return results

    def _notice_unheeded(self, task: Task, once: bool) -> None:
        """Say once a play what means nothing where each host goes on its own."""
        play = self.context.play
        fatal = truth(self._rendered(task.common.any_errors_fatal, task, self.context.variables.hosts[0]))
        said = {
            "run_once": once,
            "any_errors_fatal": fatal,
            "max_fail_percentage": play.max_fail_percentage is not None,
        }
        for name in [name for name, holds in said.items() if holds]:
            text = f"{name} means nothing with strategy {play.strategy}: every host goes through the play on its own"
            self.context.notice_once(text)

    def tags(self, task: Task) -> frozenset[str]:
        """The task's tags; a template among them knows what the play knows."""
        tags = task.common.tags
        if not any(map(has_template, tags)):
            return tags
        host = self.context.variables.hosts[0]
        return frozenset().union(*(as_tags(self._rendered(tag, task, host)) for tag in tags))

    def holds(self, task: Task, host: str) -> bool:
        """Do the conditions of a task hold on a host? One that cannot be told fails the host."""
        result = refused(task, Item(None, self.context.variables.templar(host, task.common), None))
        if result is not None and result.get("failed"):
            self._conclude(self._host_task(task, host, self._name(task, host)), Outcome(result, []), "failed", 0)
        return result is None

    def fail(self, task: Task, hosts: Sequence[str], error: WxopsError) -> None:
        """The hosts fail in a task for a reason that lies in the playbook."""
        for host in hosts:
            self._including.pop(host, None)
            host_task = self._host_task(task, host, self._name(task, host))
            self._conclude(host_task, Outcome(failure(error), []), self._fallen(host), 0)

    def _host_task(self, task: Task, host: str, name: str) -> HostTask:
        return HostTask(self.context, task, host, name)

    def _rendered(self, value: Any, task: Task, host: str) -> Any:
        """A keyword that holds for all hosts; an error in it ends the run, and names the task."""
        try:
            return self.context.variables.templar(host, task.common).render(value)
        except WxopsError as error:
            error.fix = "\n  ".join(filter(None, [error.fix, f"of the task {task.label!r}"]))
            raise

    def _name(self, task: Task, host: str) -> str:
        """The task's name with its templates; as written where they cannot be told yet."""
        name, role = str(task.name or task.module), task.common.role
        if task.module == "include_role":  # it is not of the role around it, as Ansible shows it
            name, role = task.name or f"include_role : {task.arguments.get('name') or task.arguments.get('role')}", None
        if has_template(name):
            with contextlib.suppress(WxopsError):
                name = str(self._rendered(SourceStr(name, task.origin), task, host))
        name = self.context.secrets.mask(name)
        return f"{role.name} : {name}" if role else name

    def _all(self, task: Task, name: str, hosts: list[str]) -> Results:
        at_once = int(number(self._rendered(task.common.throttle, task, hosts[0]) or 0, "throttle", task.origin))
        if self.context.pace is not None:
            with self.context.pace.turn(task, at_once):
                return {host: self._one(task, name, host) for host in hosts}
        if len(hosts) == 1:
            return {hosts[0]: self._one(task, name, hosts[0])}
        return lanes(self.context, hosts, at_once, lambda host: self._one(task, name, host))

    def _one(self, task: Task, name: str, host: str) -> dict[str, Any]:
        """One host's part, from rendering to counting. Never raises for what went wrong on that host."""
        started = time.perf_counter()
        host_task = self._host_task(task, host, name)
        try:
            outcome = host_task.run()
            status = self._status(host_task, outcome.result)
        except BecomeRefused as error:
            outcome = Outcome(_failed(error), [])
            status = self._status(host_task, outcome.result)
        except HostUnreachable as error:
            outcome = Outcome({"unreachable": True, "changed": False, "msg": str(error)}, [])
            status = "ignored" if host_task.says(task.common.ignore_unreachable) else "unreachable"
        except Exception as error:  # one host's, whatever it is: the others go on
            outcome = Outcome(_failed(error), [])
            status = self._status(host_task, outcome.result)
        ms = round((time.perf_counter() - started) * 1000, 1)
        try:
            self._conclude(host_task, outcome, status, ms)
        except UnknownHandler:
            self._conclude(host_task, outcome, status, ms, notify=False)  # what was changed is told all the same
            raise
        except WxopsError as error:  # a delegate that cannot be told
            outcome = Outcome({**outcome.result, **_failed(error), "changed": bool(outcome.result.get("changed"))}, [])
            self._conclude(host_task, outcome, self._status(host_task, outcome.result), ms)
        return outcome.result

    def _status(self, host_task: HostTask, result: Mapping[str, Any]) -> Status:
        if is_failed(result):
            ignored = host_task.says(host_task.task.common.ignore_errors, unsure=True)
            return "ignored" if ignored else self._fallen(host_task.host)
        if result.get("skipped"):
            return "skipped"
        return "changed" if result.get("changed") else "ok"

    def _fallen(self, host: str) -> Status:
        return "rescued" if self.context.states[host].rescuers else "failed"

    def _conclude(self, host_task: HostTask, outcome: Outcome, status: Status, ms: float, notify: bool = True) -> None:
        """What a result leads to: variables, handlers, the host's fate, counts and events.

        What the playbook may have wrong comes first, and raises before anything is counted or told.
        """
        task, host, result = host_task.task, host_task.host, outcome.result
        labels = [item.label for item, _ in outcome.items]
        state = self.context.states[host]
        if task.register:
            state.registered[task.register] = registered(result, task.module)
        for item, each in outcome.items or [(Item(None, host_task.templar, None), result)]:
            if each.get("ansible_facts"):
                self._learn(task, self._whose_facts(host_task, item), each)
            if task.module == "set_stats" and "ansible_stats" in each:
                self.context.stats.add(host, self.context.secrets.mask_data(each["ansible_stats"]))
        if notify and status == "changed" and task.common.notify and task.module not in NOTIFYING_NOBODY:
            self._notify(host_task)
        if host_task.noted and self.context.owed is not None:
            self.context.owed.judged(host, host_task.noted)
        if status in ("failed", "rescued", "unreachable"):
            state.failed = status != "unreachable"
            state.unreachable = status == "unreachable"
            state.registered["ansible_failed_task"] = {
                "name": _own_name(host_task), "action": task.module, "args": task.arguments, "path": str(task.origin),
            }  # fmt: skip
            state.registered["ansible_failed_result"] = registered(result, task.module)
        if task.module in DYNAMIC and status == "ok":  # counted when its files are read, each of them
            self._including[host] = lambda: self._tell(host_task, outcome, labels, status, ms)
        else:
            state.count(status, bool(result.get("changed")))
            state.tasks_run += status != "skipped" and not result.get("unreachable")
            self._tell(host_task, outcome, labels, status, ms)

    def included(self, hosts: Iterable[str]) -> None:
        """What the include of these hosts brings in has been read."""
        for tell in [self._including.pop(host) for host in hosts if host in self._including]:
            tell()

    def _whose_facts(self, host_task: HostTask, item: Item) -> str:
        common = host_task.task.common
        if common.delegate_to is not None and host_task.says(common.delegate_facts):
            return str(delegate_of(item.templar, common) or host_task.host)
        return host_task.host

    def _learn(self, task: Task, host: str, result: Mapping[str, Any]) -> None:
        """Variables that a result carries: facts, and what set_fact and include_vars set."""
        facts = result.get("ansible_facts")
        if not facts or result.get("failed"):
            return
        state = self.context.variables.state(host)
        if task.module == "set_fact":
            state.registered.update(facts)
            if result.get("_cacheable"):
                state.learn(facts)
        elif task.module == "include_vars":
            state.included.update(facts)
        else:
            state.learn(facts)

    def _notify(self, host_task: HostTask) -> None:
        for entry in host_task.task.common.notify:
            names = host_task.templar.render(entry)
            for name in names if isinstance(names, list) else [names]:
                self._handlers.notify(str(name), host_task.host, host_task.task)

    def _tell(self, host_task: HostTask, outcome: Outcome, labels: list[Any], status: Status, ms: float) -> None:
        context, task, host = self.context, host_task.task, host_task.host
        hidden = host_task.says(task.common.no_log, unsure=True)
        delegate = self._delegate(host_task)
        quiet = task.module == "assert" and isinstance(task.arguments, dict) and task.arguments.get("quiet") is True

        def shown(result: Mapping[str, Any]) -> dict[str, Any]:
            if hidden:
                return {**CENSORED, "changed": bool(result.get("changed"))}
            masked: dict[str, Any] = context.secrets.mask_data(told(result))
            return masked

        def tell(status: Status, ms: float, result: Mapping[str, Any], **of_item: Any) -> None:
            about = (host, context.name, host_task.label, task.module, status, ms, shown(result))
            context.emit(TaskResult(*about, where=str(task.origin), delegate=delegate, quiet=quiet, **of_item))

        for (_, result), text in zip(outcome.items, labels, strict=True):
            label = CENSORED["censored"] if hidden else context.secrets.mask_data(text)
            tell(self._status(host_task, result), float(result.get("ms", 0)), result, item=label, is_item=True)
        tell(status, ms, outcome.result)

    def _delegate(self, host_task: HostTask) -> str:
        """The other host that it was done on; a loop may have several, and is told as of none."""
        with contextlib.suppress(WxopsError):
            name = str(delegate_of(host_task.templar, host_task.task.common) or "")
            return "" if name == host_task.host else name
        return ""

    def _share(self, task: Task, hosts: list[str], result: dict[str, Any]) -> None:
        """run_once: the others know what came out, and share its failure."""
        delegated = task.common.delegate_facts is not None
        for host in hosts[1:]:
            state = self.context.states[host]
            if task.register:
                state.registered[task.register] = registered(result, task.module)
            if not delegated:
                for each in item_results(result) or [result]:
                    self._learn(task, host, each)

    def _fail_together(self, task: Task, hosts: list[str], results: Results, for_all: bool) -> None:
        """any_errors_fatal and max_fail_percentage: one host's failure ends the play for all."""
        context = self.context
        if not any(context.states[host].lost for host in results):
            return
        everyone = list(context.variables.batch)
        if (
            for_all
            or self._too_many(everyone)
            or truth(self._rendered(task.common.any_errors_fatal, task, hosts[0]), "any_errors_fatal", task.origin)
        ):
            for host in context.taking_part(everyone):
                context.states[host].failed = True

    def _too_many(self, everyone: list[str]) -> bool:
        allowed = self.context.play.max_fail_percentage
        if allowed is None:
            return False
        lost = sum(self.context.states[host].lost for host in everyone)
        most = percentage(self.context.variables.templar(everyone[0]).render(allowed), "max_fail_percentage")
        return lost * 100 / max(1, len(everyone)) > most


def _failed(error: Exception) -> dict[str, Any]:
    """An error as the result of the host that it befell."""
    if isinstance(error, WxopsError):
        return failure(error)
    if isinstance(error, OSError):
        return {"failed": True, "changed": False, "msg": f"{error.filename or 'the controller'}: {error.strerror}"}
    return {"failed": True, "changed": False, "msg": crash.sentence(error)}


def _own_name(host_task: HostTask) -> str:
    """A task's name without its role's."""
    role = host_task.task.common.role
    return host_task.label.removeprefix(f"{role.name} : ") if role else host_task.label
