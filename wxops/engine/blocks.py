"""Blocks of tasks over a set of hosts: in order, with rescue, always and includes.

The linear strategy is its plain use; `free` and `host_pinned` use it once per host.
"""

from __future__ import annotations

from collections.abc import Sequence

from wxops.engine.context import PlayContext
from wxops.engine.handlers import Handlers
from wxops.engine.includes import Includes
from wxops.engine.steering import PER_HOST, WITHOUT_WHEN, steer
from wxops.engine.task_run import TaskRun
from wxops.errors import WxopsError
from wxops.playbook.plays import Block, Node, Task


class BlockRun:
    """Runs nodes on hosts. A host that failed takes no part in what follows, except in rescue and always."""

    def __init__(self, context: PlayContext, handlers: Handlers) -> None:
        self.context, self._handlers = context, handlers
        self._tasks = TaskRun(context, handlers)
        self._includes = Includes(context, handlers)

    def run(self, nodes: Sequence[Node], hosts: list[str]) -> None:
        for node in nodes:
            present = self.context.taking_part(hosts)
            if not present:
                return
            if isinstance(node, Task):
                self.task(node, present)
            elif node.role is not None:
                self._role(node, node.role, present)
            else:
                self._block(node, present)

    def task(self, task: Task, hosts: list[str], handler: bool = False) -> None:
        """One task, and whatever it includes."""
        if not handler and not self.context.options.selects(self._tasks.tags(task)):
            return
        hosts = [host for host in hosts if not self.context.states[host].leaves_role]
        if not hosts:
            return
        if task.module == "meta":
            self._meta(task, hosts)
            return
        results = self._tasks.run(task, hosts, handler)
        if task.module in ("include_tasks", "include_role"):
            self._include(task, results)

    def flush_handlers(self, hosts: list[str]) -> None:
        """Run the handlers that were notified on these hosts."""
        self._handlers.flush(hosts, lambda handler, waiting: self.task(handler, waiting, handler=True))
        for host in hosts:
            self.context.states[host].leaves_role = False

    def _block(self, block: Block, hosts: list[str]) -> None:
        states = self.context.states
        rescues = self._rescues(block)
        for host in hosts:
            states[host].rescuers += rescues
        self.run(block.body, hosts)
        for host in hosts:
            states[host].rescuers -= rescues
        fallen = [host for host in hosts if states[host].failed]
        if rescues and fallen:
            for host in fallen:
                states[host].failed = False
            self.run(block.rescue, fallen)
        if block.always:
            self._always(block, hosts)

    def _rescues(self, block: Block) -> bool:
        """Has it a rescue? One of which the tags leave nothing is none: it would forgive a failure in silence."""
        rescue = (task for node in block.rescue for task in (node.tasks() if isinstance(node, Block) else [node]))
        return any(self.context.options.selects(self._tasks.tags(task)) for task in rescue)

    def _always(self, block: Block, hosts: list[str]) -> None:
        states = self.context.states
        fallen = {host: states[host].clearings for host in hosts if states[host].failed}
        for host in fallen:
            states[host].failed = False
        self.run(block.always, hosts)
        for host, before in fallen.items():
            if states[host].clearings == before:
                states[host].failed = True

    def _role(self, block: Block, name: str, hosts: list[str]) -> None:
        """The tasks of a role: once means not again where a task of it ran with the same parameters.

        Whoever leaves a role by `end_role` does so until the next end of one, as with ansible-core: that is its own, or
        that of one that it would have imported.
        """
        states = self.context.states
        done = {host for host in hosts if block.once and name in states[host].roles_run}
        fresh = {host: states[host].tasks_run for host in hosts if host not in done}
        self._block(block, list(fresh))
        for host, before in fresh.items():
            states[host].leaves_role = False
            if states[host].tasks_run > before:
                states[host].roles_run.add(name)

    def _include(self, task: Task, results: dict[str, dict[str, object]]) -> None:
        """Read all that the hosts include, then go through it. What cannot be read has failed its hosts by then."""
        found = []
        for group in self._includes.groups(results):
            try:
                found.append((group, self._includes.load(task, group)))
            except WxopsError as error:
                self._tasks.fail(task, group.hosts, error)
                continue
            for host in group.hosts:
                self.context.states[host].count("ok")
        self._tasks.included(results)
        for group, nodes in found:
            self.run(nodes, self.context.taking_part(group.hosts))

    def _meta(self, task: Task, hosts: list[str]) -> None:
        """Steer the play. What does not concern single hosts asks only the first one for its condition."""
        wanted = str(task.arguments["_raw_params"])
        asked = hosts if wanted in PER_HOST else hosts[:1]
        if wanted in WITHOUT_WHEN:
            agreed = hosts
            if task.common.when:
                self.context.notice_once(f"{wanted} task does not support when conditional ({task.origin})")
        else:
            agreed = [host for host in asked if self._tasks.holds(task, host)]
        if wanted == "flush_handlers":
            self.flush_handlers(agreed)
        elif agreed:
            steer(self.context, wanted, agreed, task)
