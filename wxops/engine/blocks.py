"""Blocks of tasks over a set of hosts: in order, with rescue, always and includes.

The linear strategy is its plain use; `free` and `host_pinned` use it once per host.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wxops.engine.context import PlayContext
from wxops.engine.task_run import TaskRun
from wxops.errors import InputError
from wxops.playbook.loader import find_task_file
from wxops.playbook.plays import Block, Common, Node, Task


class BlockRun:
    """Runs nodes on hosts. A host that failed takes no part in what follows, except in rescue and always."""

    def __init__(self, context: PlayContext) -> None:
        self.context = context
        self._tasks = TaskRun(context)

    def run(self, nodes: Sequence[Node], hosts: list[str]) -> None:
        for node in nodes:
            present = self.context.taking_part(hosts)
            if not present:
                return
            if isinstance(node, Block):
                self._block(node, present)
            else:
                self.task(node, present)

    def task(self, task: Task, hosts: list[str], handler: bool = False) -> None:
        """One task, and whatever it includes."""
        if not handler and not self.context.options.selects(task.common.tags):
            return
        results = self._tasks.run(task, hosts, handler)
        if task.module in ("include_tasks", "include_role"):
            self._include(task, results)
        elif task.module == "meta":
            self._meta(results)

    def _block(self, block: Block, hosts: list[str]) -> None:
        states = self.context.states
        if not block.rescue and not block.always:
            self.run(block.body, hosts)
            return
        for host in hosts:
            states[host].rescuers += bool(block.rescue)
        self.run(block.body, hosts)
        for host in hosts:
            states[host].rescuers -= bool(block.rescue)
        fallen = [host for host in hosts if states[host].failed]
        if block.rescue and fallen:
            self._rescue(block, fallen)
        if block.always:
            self._always(block, hosts)

    def _rescue(self, block: Block, hosts: list[str]) -> None:
        """The hosts that failed in the body take part again."""
        for host in hosts:
            state = self.context.states[host]
            state.failed = False
            state.counts["failed"] -= 1
            state.counts["rescued"] += 1
        self.run(block.rescue, hosts)
        for host in self.context.taking_part(hosts):
            self.context.states[host].failed_task = None

    def _always(self, block: Block, hosts: list[str]) -> None:
        states = self.context.states
        fallen = [host for host in hosts if states[host].failed]
        for host in fallen:
            states[host].failed = False
        self.run(block.always, hosts)
        for host in fallen:
            states[host].failed = True

    # -- includes -----------------------------------------------------------------------------------------------------

    def _include(self, task: Task, results: dict[str, dict[str, Any]]) -> None:
        """Hosts that include the same with the same variables go through it together."""
        groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for host, result in results.items():
            for each in result.get("results", [result]):
                if "_include" in each and not each.get("failed"):
                    wanted = dict(each["_include"])
                    names = {k: each[k] for k in (each.get("ansible_loop_var"), each.get("ansible_index_var")) if k}
                    wanted["vars"] = {**names, **(wanted.get("vars") or {})}
                    key = json.dumps(wanted, sort_keys=True, default=str)
                    groups.setdefault(key, (wanted, []))[1].append(host)
        for wanted, hosts in groups.values():
            self.run(self._included(task, wanted), self.context.taking_part(hosts))

    def _included(self, task: Task, wanted: dict[str, Any]) -> Sequence[Node]:
        common = self._common(task, wanted)
        directory = self.context.play.directory
        if "role" in wanted:
            _, nodes, handlers = self.context.loader.role(
                wanted["role"], {}, common, directory, task.origin, **wanted.get("parts", {})
            )
            self.context.handlers.extend(handler for handler in handlers if handler not in self.context.handlers)
            return nodes
        path = find_task_file(wanted["file"], Path(task.origin.file), task.common.role)
        if path is None:
            raise InputError(f"there is no task file {wanted['file']}", where=task.origin)
        return self.context.loader.task_file(path, common, directory)

    def _common(self, task: Task, wanted: dict[str, Any]) -> Common:
        """What holds in the included tasks: the include's keywords, but its own tags and conditions only judged it."""
        outer = task.common
        common = replace(outer, when=(), tags=task.outer_tags, notify=(), run_once=None, no_log=outer.no_log,
                         vars=(*outer.vars, *([wanted["vars"]] if wanted.get("vars") else [])))  # fmt: skip
        return common.inner(wanted.get("apply") or {})

    # -- meta ---------------------------------------------------------------------------------------------------------

    def _meta(self, results: dict[str, dict[str, Any]]) -> None:
        states = self.context.states
        for host, result in results.items():
            wanted = result.get("_meta")
            if wanted in ("end_host", "end_play", "end_batch"):
                ended = [host] if wanted == "end_host" else list(self.context.variables.batch)
                for name in ended:
                    states[name].ended = True
            elif wanted == "clear_facts":
                states[host].facts.clear()
            elif wanted == "clear_host_errors":
                for state in states.values():
                    state.failed = state.unreachable = False
            elif wanted == "reset_connection":
                self.context.connections.forget(host)
        if any(result.get("_meta") == "flush_handlers" for result in results.values()):
            self.flush_handlers(list(results))

    def flush_handlers(self, hosts: list[str]) -> None:
        """Notified handlers, in the order in which they are written, once per host."""
        states, context = self.context.states, self.context
        ran: set[int] = set()
        while True:
            todo = [(index, handler) for index, handler in enumerate(context.handlers) if index not in ran]
            handler_at = next(((index, handler, waiting) for index, handler in todo
                               if (waiting := self._waiting(handler, hosts))), None)  # fmt: skip
            if handler_at is None:
                break
            index, handler, waiting = handler_at
            ran.add(index)
            self.task(handler, waiting, handler=True)
        for host in hosts:
            states[host].notified.clear()

    def _waiting(self, handler: Task, hosts: list[str]) -> list[str]:
        """Hosts on which somebody notified this handler."""
        context = self.context
        found = []
        for host in hosts:
            state = context.states[host]
            if not (state.takes_part or (context.play.force_handlers and not state.unreachable and not state.ended)):
                continue
            if state.notified and self._names(handler, host) & set(state.notified):
                found.append(host)
        return found

    def _names(self, handler: Task, host: str) -> set[str]:
        templar = self.context.variables.templar(host, handler.common)
        own = str(templar.render(handler.name)) if handler.name else ""
        role = handler.common.role
        qualified = {f"{role.name} : {own}"} if role else set()
        return {own, *qualified, *(str(templar.render(topic)) for topic in handler.listen)} - {""}
