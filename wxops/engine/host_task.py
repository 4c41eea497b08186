"""One task on one host: its items rendered, sent in one message, and judged by what the playbook says of results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.actions.catalog import Module
from wxops.engine.become import become_for
from wxops.engine.call import HostCall
from wxops.engine.events import Output
from wxops.engine.loops import Item, items_of
from wxops.errors import HostUnreachable, InputError, TaskFailed, TemplateError, WxopsError
from wxops.playbook.plays import Task
from wxops.playbook.templating import OMIT, Templar

if TYPE_CHECKING:
    from wxops.engine.context import PlayContext
    from wxops.transport.tunnel import UnixSocket

Result = dict[str, Any]
DEFAULT_RETRIES, DEFAULT_DELAY_S = 3, 5.0


@dataclass
class Outcome:
    """What a task came to on a host: one result, and for a loop those of its items."""

    result: Result
    items: list[tuple[Item, Result]]


class HostTask:
    """A task on one host. `target` is the host it acts on: the host itself, or the one it is delegated to."""

    def __init__(self, context: PlayContext, task: Task, module: Module, host: str) -> None:
        self.context, self.task, self.module, self.host = context, task, module, host
        self.templar = context.variables.templar(host, task.common)
        self.search_path = context.variables.search_path(task.common)
        self.receive_at: Path | None = None
        self.check, self.diff = context.options.check, context.options.diff
        self.label = task.label

    def run(self) -> Outcome:
        """Do it. Raises HostUnreachable when the host is lost, WxopsError for what the operator wrote wrong."""
        common = self.task.common
        if common.check_mode is not None:
            self.check = bool(self.templar.render(common.check_mode))
        if common.diff is not None:
            self.diff = bool(self.templar.render(common.diff))
        items = items_of(self.task, self.templar)
        if items is None:
            item = Item(None, self.templar, None)
            (result,) = self._run_items([item])
            return Outcome(result, [])
        if not items:
            return Outcome(
                {"changed": False, "skipped": True, "skipped_reason": "No items in the list", "results": []}, []
            )
        results = self._run_items(items)
        return Outcome(_of_loop(results), list(zip(items, results, strict=True)))

    def _run_items(self, items: list[Item]) -> list[Result]:
        """A result for each item, in order. Items travel together unless the playbook needs them one by one."""
        one_by_one = bool(self.task.until) or (self.task.loop is not None and self.task.loop.pause is not None)
        results: list[Result] = [{} for _ in items]
        waiting: list[int] = []
        for index, item in enumerate(items):
            refused = self._refused(item)
            if refused is not None:
                results[index] = refused
            elif one_by_one or self.module.runs == "action":
                results[index] = self._until(item)
                self._pause(items, index)
            else:
                waiting.append(index)
        answers = self._together([items[index] for index in waiting]) if waiting else []
        for index, answer in zip(waiting, answers, strict=True):
            results[index] = self._judged(items[index], answer)
        for item, result in zip(items, results, strict=True):
            item.mark(result)
        return results

    def _refused(self, item: Item) -> Result | None:
        """The result of an item whose condition does not hold or cannot be told."""
        for condition in self.task.common.when:
            try:
                if not item.templar.condition(condition, where=self.task.origin):
                    shown = condition if isinstance(condition, bool) else str(condition)
                    return {"changed": False, "skipped": True, "skip_reason": "Conditional result was False",
                            "false_condition": shown}  # fmt: skip
            except TemplateError as error:
                return failure(error)
        return None

    def _until(self, item: Item) -> Result:
        """Run one item, again and again until what the playbook waits for holds."""
        if not self.task.until:
            return self._judged(item, self._alone(item))
        retries = int(item.templar.render(self.task.retries) or DEFAULT_RETRIES)
        delay = self.task.delay
        seconds = float(item.templar.render(delay)) if delay is not None else DEFAULT_DELAY_S
        for attempt in range(1, retries + 2):
            result = self._judged(item, self._alone(item), attempts=attempt)
            scope = self._with_result(item, result)
            if all(scope.condition(until, where=self.task.origin, what="until") for until in self.task.until):
                return result
            if attempt <= retries:
                self.context.sleep(seconds)
        return {
            **result,
            "failed": True,
            "attempts": retries,
            "msg": result.get("msg") or f"after {retries} retries the condition does not hold",
        }

    def _pause(self, items: list[Item], index: int) -> None:
        loop = self.task.loop
        if loop is not None and loop.pause is not None and index < len(items) - 1:
            self.context.sleep(float(items[index].templar.render(loop.pause)))

    # -- running ------------------------------------------------------------------------------------------------------

    def _alone(self, item: Item) -> Result:
        if self.module.runs != "action":
            return self._together([item])[0]
        call = HostCall(self, item.templar)
        try:
            arguments = self._arguments(item)
            return dict(self.module.function(call, **arguments))
        except TaskFailed as error:
            return {"failed": True, "msg": error.what, **error.result}
        except (InputError, TemplateError) as error:
            return failure(error)

    def _together(self, items: list[Item]) -> list[Result]:
        """Several items in one message to the host."""
        results: list[Result | None] = [None] * len(items)
        calls: dict[str, tuple[list[int], list[Mapping[str, Any]]]] = {}
        offers: dict[str, Path | bytes] = {}
        for index, item in enumerate(items):
            try:
                name, arguments = self._for_host(item, offers)
            except (InputError, TemplateError) as error:
                results[index] = failure(error)
                continue
            except TaskFailed as error:
                results[index] = {"failed": True, "msg": error.what, **error.result}
                continue
            indexes, sent = calls.setdefault(name, ([], []))
            indexes.append(index)
            sent.append(arguments)
        for name, (indexes, sent) in calls.items():
            for position, result in self.on_host(name, sent, offers).items():
                results[indexes[position]] = result
        return [result if result is not None else {"failed": True, "msg": "no result"} for result in results]

    def _for_host(self, item: Item, offers: dict[str, Path | bytes]) -> tuple[str, Mapping[str, Any]]:
        """The agent's module and its arguments for an item."""
        arguments = self._arguments(item)
        if self.module.runs == "host":
            return self.module.name, arguments
        call = HostCall(self, item.templar)
        name, prepared = self.module.function(call, **arguments)
        offers.update(call.offers)
        return name, prepared

    def _arguments(self, item: Item) -> dict[str, Any]:
        given, raw = self.task.arguments, self.module.signature.raw
        if raw and isinstance(given, dict):
            rest = {name: value for name, value in given.items() if name not in raw}
            rendered = {**item.templar.render(rest), **{name: given[name] for name in raw & given.keys()}}
        else:
            rendered = item.templar.render(given, where=self.task.origin)
        if not isinstance(rendered, dict):
            raise InputError(f"the arguments of {self.task.module} should be a mapping", where=self.task.origin)
        given = {name: value for name, value in rendered.items() if value is not OMIT}
        return self.module.signature.coerce(given, self.task.origin)

    def on_host(
        self, name: str, items: list[Mapping[str, Any]], offers: Mapping[str, Path | bytes]
    ) -> dict[int, Result]:
        """Run a module of the agent for these arguments: index -> result."""
        with self._agent() as agent:
            for digest, content in offers.items():
                agent.offer(digest, content)
            if self.receive_at is not None:
                agent.receive_at(self.receive_at)
                self.receive_at = None
            return dict(agent.run(name, [dict(item) for item in items], output=self._show, **self._about()))

    def open_socket(self, path: str) -> UnixSocket:
        with self._agent() as agent:
            connection: UnixSocket = agent.open_socket(path)
            return connection

    def boot_id(self) -> str:
        """The id of the boot that the host is in."""
        with self._agent() as agent:
            return str(agent.hello["boot_id"])

    def reconnect(self, timeout: float) -> None:
        """Forget what is open to the host, then try once a second to reach it. Raises HostUnreachable."""
        self.context.connections.forget(self._target()[0])
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._ask_for_agent()
            except HostUnreachable:
                if time.monotonic() >= deadline:
                    raise
            self.context.sleep(1)

    def _ask_for_agent(self) -> None:
        with self._agent():
            pass

    def _agent(self) -> Any:
        target, variables = self._target()
        return self.context.connections.agent(
            target, variables, become_for(self.task.common, self.templar, self.context.options)
        )

    def _target(self) -> tuple[str, Mapping[str, Any]]:
        """The host that it acts on, and the variables that say how that is reached."""
        delegate = self.task.common.delegate_to
        name = str(self.templar.render(delegate)) if delegate is not None else self.host
        templar = self.templar if name == self.host else self.context.variables.templar(name)
        return name, _Reach(templar, self.task, local=name in ("localhost", "127.0.0.1") and name != self.host)

    def _about(self) -> dict[str, Any]:
        """What the agent should know of the task beyond its arguments."""
        common, task = self.task.common, self.task
        about: dict[str, Any] = {"task": self.label, "check": self.check}
        if common.environment:
            merged: dict[str, str] = {}
            for layer in common.environment:
                merged.update({str(k): str(v) for k, v in (self.templar.render(layer) or {}).items()})
            about["environment"] = merged
        if task.rollback is not None:
            about["rollback"] = str(self.templar.render(task.rollback))
        if task.changed_when == (False,):
            about["journaled"] = False
        return about

    def _show(self, stream: int, text: str) -> None:
        if self.context.options.verbosity and not self.task.common.no_log:
            self.context.emit(Output(self.host, self.label, stream, self.context.secrets.mask(text.rstrip("\n"))))

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judged(self, item: Item, result: Result, **more: Any) -> Result:
        """The result after changed_when and failed_when."""
        result = {"changed": False, **result, **more}
        if result.get("skipped"):
            return result
        if result.get("failed"):
            result.setdefault("failed", True)
        scope = self._with_result(item, result)
        try:
            if self.task.changed_when is not None:
                was = result["changed"]
                result["changed"] = all(
                    scope.condition(c, where=self.task.origin, what="changed_when") for c in self.task.changed_when
                )
                if was and not result["changed"] and result.get("steps"):
                    self._settle(result["steps"])
            if self.task.failed_when is not None:
                failed = all(
                    scope.condition(c, where=self.task.origin, what="failed_when") for c in self.task.failed_when
                )
                result["failed_when_result"] = result["failed"] = failed
        except TemplateError as error:
            return {**result, **failure(error)}
        return result

    def _all_hold(self, scope: Templar, conditions: tuple[Any, ...], what: str) -> bool:
        return all(scope.condition(condition, where=self.task.origin, what=what) for condition in conditions)

    def _settle(self, steps: list[int]) -> None:
        with self._agent() as agent:
            agent.settle(steps)

    def _with_result(self, item: Item, result: Result) -> Templar:
        """The scope in which a result is judged: it stands under the name that the task registers."""
        own = dict(result)
        own.setdefault("failed", False)
        return item.templar.extended({self.task.register: own} if self.task.register else {})


class _Reach(Mapping[str, Any]):
    """The `ansible_*` variables of a host as they are read, with what the task itself says of the connection."""

    def __init__(self, templar: Templar, task: Task, local: bool) -> None:
        self._templar, self._namespace = templar, templar.namespace()
        common = task.common
        said = {"ansible_connection": common.connection, "ansible_user": common.remote_user,
                "ansible_port": common.port, "ansible_timeout": common.timeout}  # fmt: skip
        self._own = {name: templar.render(value) for name, value in said.items() if value is not None}
        if local:
            self._own.setdefault("ansible_connection", "local")

    def __getitem__(self, name: str) -> Any:
        return self._own[name] if name in self._own else self._namespace[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._namespace), **self._own})

    def __len__(self) -> int:
        return len(self._namespace)


def failure(error: WxopsError) -> Result:
    """An operator's error as a task's result."""
    return {"failed": True, "changed": False, "msg": str(error)}


def _of_loop(results: list[Result]) -> Result:
    """What a loop comes to."""
    whole: Result = {"results": results, "changed": any(result.get("changed") for result in results)}
    if all(result.get("skipped") for result in results):
        return {**whole, "skipped": True, "msg": "All items skipped"}
    if any(result.get("failed") for result in results):
        return {**whole, "failed": True, "msg": "One or more items failed"}
    return {**whole, "msg": "All items completed"}
