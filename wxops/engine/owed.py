"""Handlers that a host is owed: notified, and not run because a later task failed or the run was cut short.

The host keeps them, from before the change on. The next run of the play learns of them with the first word of the
agent, and runs them where its handlers run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wxops.engine.events import Notice
from wxops.errors import WxopsError
from wxops.playbook.plays import Play, Task, as_list
from wxops.playbook.templating import Templar

if TYPE_CHECKING:
    from wxops.engine.context import PlayContext
    from wxops.engine.handlers import Handlers, Key
    from wxops.transport.agent import Agent


class OwedHandlers:
    """What the hosts of one batch are owed: by name as notified, with the handlers that it stands for."""

    def __init__(self, context: PlayContext, handlers: Handlers) -> None:
        self._context, self._handlers = context, handlers
        self.play = _identity(context.play)
        self._due: dict[str, dict[str, set[Key]]] = {}
        self._noted: dict[str, set[str]] = {}
        self._guard = threading.Lock()

    def to_note(self, task: Task, templar: Templar) -> dict[str, Any] | None:
        """What the agent is to note before a task changes something; None when nothing follows."""
        if not task.common.notify or self._context.options.check:
            return None
        with contextlib.suppress(WxopsError):  # a name that only the result gives: it is noted when the host is lost
            names = [str(name) for entry in task.common.notify for name in as_list(templar.render(entry))]
            return {"play": self.play, "names": names}
        return None

    def noted(self, host: str, names: Iterable[str]) -> None:
        """The host has noted these before a change."""
        with self._guard:
            self._noted.setdefault(host, set()).update(names)

    def notified(self, host: str, name: str, handlers: Iterable[Key]) -> None:
        """These handlers of that name are to run on a host."""
        with self._guard:
            self._due.setdefault(host, {}).setdefault(name, set()).update(handlers)

    def recall(self, host: str, agent: Agent) -> None:
        """Notify what earlier runs of this play left, as the agent's first word told."""
        left: Mapping[str, Mapping[str, str]] = agent.hello.get("owed", {}).pop(self.play, {})
        for name, about in left.items():
            if about["run"] == self._context.connections.identity.run:  # this run's own, told by an agent started anew
                continue
            self.noted(host, [name])
            known = self._handlers.recall(name, host)
            what = "runs now" if known else "is no longer in the play, so it is forgotten"
            after = f" after task {about['task']!r}" if about["task"] else ""
            text = f"{host}: handler {name!r} {what}: run {about['run']} did not get there{after}"
            self._context.emit(Notice(self._context.secrets.mask(text)))
            if not known and not self._context.options.check:
                agent.settle(owed={"play": self.play, "names": [name]})

    def ran(self, hosts: Iterable[str], handler: Key) -> None:
        """A handler has done its work on these hosts."""
        for host in hosts:
            due = self._due.get(host, {})
            for keys in due.values():
                keys.discard(handler)
            self._settle(host, [name for name, keys in due.items() if not keys])

    def judged(self, host: str, names: Sequence[str]) -> None:
        """A task that noted these came to its end: what it did not notify is not owed."""
        self._settle(host, [name for name in names if name not in self._due.get(host, {})])

    def close(self, hosts: Iterable[str]) -> None:
        """The batch is over: hosts that are lost keep what they are owed, and the operator is told."""
        states, connections = self._context.states, self._context.connections
        for host in hosts:
            left = [name for name, keys in self._due.get(host, {}).items() if keys]
            if not states[host].lost:
                self._settle(host, left)
            elif left and not self._context.options.check:
                unnoted = [name for name in left if name not in self._noted.get(host, ())]
                kept = not unnoted or connections.tell(host, note={"play": self.play, "names": unnoted})
                if kept or len(unnoted) < len(left):
                    text = f"{host}: handlers that did not run are owed to it by the next run of this play: "
                    self._context.emit(Notice(self._context.secrets.mask(text + ", ".join(left))))

    def _settle(self, host: str, names: Sequence[str]) -> None:
        with self._guard:
            for name in names:
                self._due.get(host, {}).pop(name, None)
            kept = [name for name in names if name in self._noted.get(host, ())]
            self._noted.get(host, set()).difference_update(kept)
        if kept and not self._context.options.check:
            self._context.connections.tell(host, owed={"play": self.play, "names": kept})


def _identity(play: Play) -> str:
    """A play as its next run is known by: its file, and its name as written or else its hosts.

    The file within its git work tree, which another operator has elsewhere; without one its whole path.
    """
    path = play.playbook.resolve()
    tree = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    file = path.relative_to(tree.parent) if tree else path
    hosts = ",".join(map(str, play.hosts)) if isinstance(play.hosts, list) else play.hosts
    return f"{file}: {play.name or hosts}"
