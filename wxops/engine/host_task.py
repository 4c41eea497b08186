"""One task on one host: its items rendered, sent in one message, and judged by what the playbook says of results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.actions._content import sent_inline
from wxops.engine.background import Background
from wxops.engine.call import HostCall
from wxops.engine.connection_names import with_connection
from wxops.engine.delegation import with_delegate
from wxops.engine.events import Output, Retrying
from wxops.engine.facts import with_interpreter
from wxops.engine.judging import (
    NOT_JUDGED,
    SETTING,
    arrived,
    enough,
    failure,
    judged,
    named,
    of_loop,
    refused,
    registered,
    without_diff,
)
from wxops.engine.loops import Item, items_of, sees_its_results
from wxops.engine.module_defaults import rendered_defaults
from wxops.engine.place import Place, place_of, varies
from wxops.engine.values import number, truth
from wxops.errors import HostUnreachable, InputError, TaskFailed, TemplateError, UndefinedVariable, WxopsError
from wxops.playbook.jinja.lazy import kept
from wxops.playbook.plays import Task
from wxops.playbook.templating import OMIT, Templar
from wxops.playbook.variable_names import check_name
from wxops.transport.options import AUTOMATIC

if TYPE_CHECKING:
    from wxops.engine.context import PlayContext
    from wxops.transport.tunnel import UnixSocket

Result = dict[str, Any]
KEYWORDS = ("environment", "ignore_errors", "notify", "delegate_to", "delegate_facts", "become_user", "timeout", "port",
            "no_log")  # fmt: skip
"""An error in one fails a task before it does anything, also where the task would not need it."""
BEGUN_HERE = frozenset({"copy", "template", "assemble", "unarchive"})
"""Modules that begin on the controller, in Ansible too, where the host's part looks at the arguments."""
DEFAULT_RETRIES, DEFAULT_DELAY_S = 3, 5.0


@dataclass
class Outcome:
    """What a task came to on a host: one result, and for a loop those of its items."""

    result: Result
    items: list[tuple[Item, Result]]


@dataclass
class _Message:
    """Items that go to the same place for the same module. limit: of the jobs that they become."""

    module: str
    templar: Templar
    limit: float | None = None
    indexes: list[int] = field(default_factory=list)
    arguments: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, index: int, arguments: Mapping[str, Any]) -> None:
        self.indexes.append(index)
        self.arguments.append(arguments)


class HostTask:
    """A task on one host: rendered, run there or where it is delegated to, and judged."""

    def __init__(self, context: PlayContext, task: Task, host: str, label: str) -> None:
        self.context, self.task, self.host, self.label = context, task, host, label
        self.module = context.module(task)
        self.templar = with_connection(context.variables.templar(host, task.common), task.common, context.options)
        if task.loop is None:
            self.templar = with_delegate(self.templar, task.common, host, context.variables)
        self.receive_at: Path | None = None
        self.noted: list[str] = []
        self._varies = varies(task)
        self._place: Place | None = None
        self._began = time.monotonic()

    @property
    def search_path(self) -> list[Path]:
        return self.context.variables.search_path(self.task.common)

    def says(self, value: Any, unsure: bool = False) -> bool:
        """A keyword that is true or false, or a template of it; not said is false. unsure: what holds if it fails."""
        if value is None or isinstance(value, bool):
            return bool(value)
        try:
            return truth(self.templar.render(value))
        except WxopsError:
            return unsure

    def checks(self, templar: Templar) -> bool:
        """Is an item done in check mode?"""
        return self._said("check_mode", templar, self.context.options.check)

    def diffs(self, templar: Templar) -> bool:
        """Is an item's diff asked for?"""
        return self._said("diff", templar, self.context.options.diff)

    def _shows_diff(self, templar: Templar) -> bool:
        """`diff: false` is how operators keep a file's content from being shown."""
        return self._said("diff", templar, True)

    def _said(self, keyword: str, templar: Templar, otherwise: bool) -> bool:
        said = templar.render(getattr(self.task.common, keyword))
        return otherwise if said is None else truth(said, keyword, self.task.origin)

    def run(self) -> Outcome:
        """Do it. Raises HostUnreachable when the host is lost, WxopsError for what the operator wrote wrong."""
        try:
            items = items_of(self.task, self.templar)
        except UndefinedVariable:
            items = self._without_items()
        if items is None:
            (result,) = self._run_items([Item(None, self.templar, None)])
            return Outcome(result, [])
        for item in items:
            item.templar = with_delegate(item.templar, self.task.common, self.host, self.context.variables)
        results = self._run_items(items)
        return Outcome(of_loop(results), list(zip(items, results, strict=False)))

    def _without_items(self) -> list[Item] | None:
        """A loop over what is not defined is no mistake where the condition would skip the task anyhow."""
        refusal = refused(self.task, Item(None, self.templar, None))
        if refusal is not None and refusal.get("skipped"):
            return None
        raise

    def _run_items(self, items: list[Item]) -> list[Result]:
        """A result for each item, in order. Items travel together unless the playbook needs them one by one."""
        refusals = [refused(self.task, item) for item in items] if not self._one_by_one else []
        waiting = [item for item, refusal in zip(items, refusals, strict=False) if refusal is None]
        if self._one_by_one:
            return self._in_turn(items)
        answers = iter(self._together(waiting) if waiting else [])
        results = [refusal or self._judged(item, next(answers)) for item, refusal in zip(items, refusals, strict=True)]
        return [named(self.task, item, result) for item, result in zip(items, results, strict=True)]

    @property
    def _one_by_one(self) -> bool:
        """Must an item have ended before the next one is looked at?"""
        task, loop = self.task, self.task.loop
        waits = bool(task.until) or task.retries is not None or (task.async_limit is not None and task.poll != 0)
        in_turn = loop is not None and (loop.pause is not None or bool(loop.break_when) or sees_its_results(task))
        return self.module.runs == "action" or waits or in_turn

    def _in_turn(self, items: list[Item]) -> list[Result]:
        results: list[Result] = []
        learned: dict[str, Any] = {}
        for item in items:
            if results:
                self._pause(item)
                item.templar = item.templar.extended(learned)
            result = named(self.task, item, refused(self.task, item) or self._until(item))
            results.append(result)
            if enough(self.task, item, result):
                break
            learned.update(self._learned(result))
        return results

    def _learned(self, result: Result) -> dict[str, Any]:
        """What the next item sees of this one's result: facts that it set, and the result itself."""
        facts = result.get("ansible_facts") if self.task.module in SETTING else None
        own = {self.task.register: registered(result, self.task.module)} if self.task.register else {}
        extra = self.context.options.extra_vars
        return {name: value for name, value in {**(facts or {}), **own}.items() if name not in extra}

    def _until(self, item: Item) -> Result:
        """Run one item, again and again until what the playbook waits for holds."""
        task = self.task
        if not task.until and task.retries is None:
            return self._judged(item, self._alone(item))
        retries, seconds = DEFAULT_RETRIES, DEFAULT_DELAY_S
        said, delay = item.templar.render(task.retries), item.templar.render(task.delay)
        if said is not None:
            retries = int(number(said, "retries", task.origin))
        if delay is not None:
            seconds = number(delay, "delay", task.origin)
        for attempt in range(1, retries + 2):
            result = self._alone(item)
            if result.get(NOT_JUDGED) or result.get("skipped"):
                return self._judged(item, result)
            result = self._judged(item, {**result, "attempts": attempt})
            if arrived(task, item, result):
                return result
            if attempt <= retries:
                self.context.emit(Retrying(self.host, self.label, retries + 1 - attempt))
                self.context.sleep(seconds)
        message = result.get("msg") or f"after {retries} retries the condition does not hold"
        return {**result, "failed": True, "attempts": retries, "msg": message}

    def _pause(self, item: Item) -> None:
        loop = self.task.loop
        if loop is not None and loop.pause is not None:
            self.context.sleep(number(item.templar.render(loop.pause), "pause of loop_control", self.task.origin))

    def _judged(self, item: Item, result: Result) -> Result:
        was, steps = bool(result.get("changed")), result.get("steps")
        if "diff" in result and not self.diffs(item.templar):
            result = without_diff(result, self.task.module, self._shows_diff(item.templar))
        after = judged(self.task, item, result)
        if steps:
            void = steps if was and not after["changed"] else []
            hide = steps if self.context.secrets.finds_in(result) else []
            if void or hide:
                with self._agent(item.templar) as agent:
                    agent.settle(void, hide)
        return after

    # -- running ------------------------------------------------------------------------------------------------------

    def time_left(self, templar: Templar) -> float:
        """Seconds until the item's `timeout:` is over."""
        limit = self.place(templar).about.get("timeout") or float("inf")
        return max(0.0, self._began + float(limit) - time.monotonic())

    def _background(self, item: Item) -> Background | None:
        if self.task.async_limit is None:
            return None
        return Background.of(
            self.task, item.templar, supported=self.module.supports_async, check=self.checks(item.templar)
        )

    def _alone(self, item: Item) -> Result:
        self._began = time.monotonic()
        if self.module.runs != "action":
            result, background = self._together([item])[0], self._background(item)
            return background.outcome(self, item.templar, result) if background else result
        try:
            call = HostCall(self, item.templar)
            self._background(item)
            arguments = self._arguments(item)
            return dict(self.module.function(call, **arguments))
        except (TaskFailed, InputError, TemplateError) as error:
            return self._failure(error)

    def _failure(self, error: WxopsError) -> Result:
        """The result of an item that failed here. What is wrong in the playbook is no result to be judged by it.

        A module tells of wrong arguments itself, as in Ansible: that is judged as any failure.
        """
        if isinstance(error, TaskFailed):
            return {"failed": True, "msg": error.what, **error.result}
        of_module = self.module.runs == "host" or self.module.name in BEGUN_HERE
        told = of_module and not isinstance(error, TemplateError)
        return failure(error) if told else {**failure(error), NOT_JUDGED: True}

    def _together(self, items: list[Item]) -> list[Result]:
        """Several items in as few messages as they have places."""
        results: list[Result | None] = [None] * len(items)
        offers: dict[str, Path | bytes] = {}
        messages: dict[Any, _Message] = {}
        for index, item in enumerate(items):
            try:
                name, arguments = self._for_host(item, offers)
                place = repr(self.place(item.templar)) if self._varies else ""
                background = self._background(item)
            except (TaskFailed, InputError, TemplateError) as error:
                results[index] = self._failure(error)
            else:
                limit = background.limit if background else None
                message = messages.setdefault((name, place, limit), _Message(name, item.templar, limit))
                message.add(index, arguments)
        for message in messages.values():
            job = {} if message.limit is None else {"async": message.limit}
            answers = self.on_host(message.module, message.arguments, offers, message.templar, **job)
            for position, result in answers.items():
                results[message.indexes[position]] = result
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
        for keyword in KEYWORDS:
            item.templar.render(getattr(self.task.common, keyword))
        given, raw = self.task.arguments, self.module.signature.raw
        if self.module.signature.open and isinstance(given, dict):  # names of the operator's own may be templates
            given = {check_name(item.templar.render(name)): value for name, value in given.items()}
        if raw and isinstance(given, dict):
            rest = {name: value for name, value in given.items() if name not in raw}
            rendered = {**item.templar.render(rest), **{name: given[name] for name in raw & given.keys()}}
        elif raw or self.task.module == "set_fact":
            rendered = kept(given, item.templar)
        else:
            rendered = item.templar.render(given, where=self.task.origin)
        if not isinstance(rendered, dict):
            raise InputError(f"the arguments of {self.task.module} should be a mapping", where=self.task.origin)
        if self.task.defaults:
            rendered = {**rendered_defaults(self.task, item.templar), **rendered}
        given = {name: value for name, value in rendered.items() if value is not OMIT}
        return self.module.signature.coerce(given, self.task.origin)

    def on_host(
        self, name: str, items: list[Mapping[str, Any]], offers: Mapping[str, Path | bytes], templar: Templar,
        **more: Any,
    ) -> dict[int, Result]:  # fmt: skip
        """Run a module of the agent for these arguments, at the place of `templar`'s item: index -> result.

        more: what else the agent is told of the task.
        """
        about, owed = {**self.place(templar).about, **more}, self.context.owed
        own = owed is not None and self.place(templar).host == self.host
        follow = owed.to_note(self.task, self.templar) if owed and own else None
        if follow is not None:
            about["notify"] = follow
        if not self._shows_diff(templar) or self._is_secret(items, offers):
            about = {**about, "hidden": True}
        with self._agent(templar) as agent:
            if owed and own:
                owed.recall(self.host, agent)
            if self.receive_at is not None:
                agent.receive_at(self.receive_at)
                self.receive_at = None
            results = dict(agent.run(name, [dict(item) for item in items], output=self._show, offers=offers, **about))
        if owed and follow is not None and any(result.get("steps") for result in results.values()):
            owed.noted(self.host, follow["names"])
            self.noted = follow["names"]
        if name == "setup" and self._looked_for_python(templar):
            for result in results.values():
                if "ansible_facts" in result:
                    result["ansible_facts"] = with_interpreter(result["ansible_facts"])
        return results

    def _looked_for_python(self, templar: Templar) -> bool:
        said = self.place(templar).reach.get("ansible_python_interpreter") or self.context.options.interpreter
        return said in AUTOMATIC

    def _is_secret(self, items: list[Mapping[str, Any]], offers: Mapping[str, Path | bytes]) -> bool:
        """Must nobody see what the task does, or is there a secret in it? A rollback knows neither task nor secrets."""
        if self.says(self.task.common.no_log, unsure=True):
            return True
        if not self.context.secrets.has_any:
            return False
        contents = [content for content in offers.values() if isinstance(content, bytes)]
        return self.context.secrets.finds_in([items, contents, list(sent_inline(items))])

    def open_socket(self, path: str, templar: Templar) -> UnixSocket:
        with self._agent(templar) as agent:
            connection: UnixSocket = agent.open_socket(path)
            return connection

    def boot_id(self, templar: Templar) -> str:
        """The id of the boot that the host is in."""
        with self._agent(templar) as agent:
            return str(agent.hello["boot_id"])

    def reconnect(self, timeout: float, templar: Templar) -> None:
        """Forget what is open to the host, then try once a second to reach it. Raises HostUnreachable."""
        self.context.connections.forget(self.place(templar).host)
        deadline = time.monotonic() + timeout
        while True:
            try:
                with self._agent(templar):
                    return
            except HostUnreachable:
                if time.monotonic() >= deadline:
                    raise
            self.context.sleep(1)

    def _agent(self, templar: Templar) -> Any:
        place = self.place(templar)
        return self.context.connections.agent(place.host, place.reach, place.become)

    def place(self, templar: Templar) -> Place:
        """Where an item acts; the same for all items unless a template says otherwise."""
        if self._place is not None and not self._varies:
            return self._place
        about: dict[str, Any] = {"task": self.label, "check": self.checks(templar)}
        if self.task.changed_when == (False,):
            about["journaled"] = False
        self._place = place_of(self.context, self.task, self.host, templar, about)
        return self._place

    def _show(self, stream: int, text: str) -> None:
        if self.context.options.verbosity and not self.says(self.task.common.no_log, unsure=True):
            self.context.emit(Output(self.host, self.label, stream, self.context.secrets.mask(text.rstrip("\n"))))
