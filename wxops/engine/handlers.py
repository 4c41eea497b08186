"""Which handlers a play has, who notified them, and running them: in the order written, once per host."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wxops.engine.context import PlayContext
from wxops.engine.events import Notice
from wxops.errors import InputError, WxopsError
from wxops.playbook.plays import Task
from wxops.playbook.templating import Templar

Key = tuple[int, int]
Group = tuple[Task, ...]


class UnknownHandler(InputError):
    """Nobody can say what was to follow a change: the run ends, as ansible-core's does."""


class Handlers:
    """The handlers of a play, in groups: those of each role, then the play's own, then those of included roles.

    A name means the first handler of that name in the last group that has one; a topic all that listen to it, and of
    those of one name again that one.
    """

    def __init__(self, context: PlayContext, groups: Sequence[Group]) -> None:
        self._context = context
        self._groups: list[Group] = []
        self._order: list[int | None] = []
        self._names: dict[str, Key] = {}
        self._topics: dict[str, list[Key]] = {}
        self._called: dict[Key, str] = {}
        for group in groups:
            self.add(group)

    def add(self, group: Group) -> None:
        """More handlers. A group that was there already (a role included again) is the last one from now on."""
        origins = [handler.origin for handler in group]
        known = next((at for at, old in enumerate(self._groups) if [h.origin for h in old] == origins), None)
        if known is None:
            self._groups.append(group)
            known = len(self._groups) - 1
        else:
            self._groups[known] = group
            self._order[self._order.index(known)] = None
        self._order.append(known)
        self._learn(known)

    def _learn(self, number: int) -> None:
        templar = self._context.variables.templar(self._context.variables.hosts[0])
        named: dict[str, Key] = {}
        for position, handler in enumerate(self._groups[number]):
            name = _rendered(handler.name, templar)
            self._called[number, position] = name or str(handler.name or "")
            if name is not None:
                named.setdefault(name, (number, position))
                for each in _of_role(handler, name):
                    named.setdefault(each, (number, position))
            for topic in handler.listen:  # no template, as in Ansible
                for each in [str(topic), *_of_role(handler, str(topic))]:
                    listening = self._topics.setdefault(each, [])
                    if (number, position) not in listening:
                        listening.append((number, position))
        self._names.update(named)

    def notify(self, name: str, host: str, task: Task) -> None:
        """Note that a handler is to run on a host. Raises UnknownHandler, unless a setting makes that a warning."""
        found = self._meant(name)
        if not found:
            known = ", ".join([*self._names, *self._topics]) or "none"
            if not self._context.options.error_on_missing_handler:
                self._context.emit(Notice(f"there is no handler {name!r}"))
                return
            raise UnknownHandler(
                f"there is no handler {name!r}", where=task.origin, fix=f"handlers of the play: {known}"
            )
        self._context.states[host].notified.update(found)
        if self._context.owed is not None:
            self._context.owed.notified(host, name, found)

    def recall(self, name: str, host: str) -> bool:
        """Note what an earlier run notified; False when the play has no such handler any more."""
        found = self._meant(name)
        self._context.states[host].notified.update(found)
        if found and self._context.owed is not None:
            self._context.owed.notified(host, name, found)
        return bool(found)

    def _meant(self, name: str) -> list[Key]:
        """The handlers that are notified by a name or topic."""
        listening: dict[str | Key, Key] = {}
        for key in sorted(self._topics.get(name, []), key=lambda key: (-self._order.index(key[0]), key[1])):
            listening.setdefault(self._called[key] or key, key)
        return list(dict.fromkeys([*([self._names[name]] if name in self._names else []), *listening.values()]))

    def flush(self, hosts: Sequence[str], run: Callable[[Task, list[str]], None]) -> None:
        """Run those notified on these hosts. One notified by a later one waits for the next time.

        A host that fails in a handler runs none after it, not even when handlers are forced.
        """
        for number in self._order:  # a handler may include a role, whose handlers come in here
            if number is None:
                continue
            for position, handler in enumerate(self._groups[number]):
                waiting = [host for host in hosts if self._waits(host, (number, position))]
                for host in waiting:
                    self._context.states[host].notified.discard((number, position))
                if waiting:
                    self._run(handler, waiting, run)
                    if self._context.owed is not None:
                        states = {host: self._context.states[host] for host in waiting}
                        did = [host for host, state in states.items() if not (state.handlers_over or state.unreachable)]
                        self._context.owed.ran(did, (number, position))

    def _run(self, handler: Task, hosts: list[str], run: Callable[[Task, list[str]], None]) -> None:
        """One handler. Hosts that are forced to run it, though they failed, take part in what it includes, too."""
        states = [self._context.states[host] for host in hosts]
        forced = [state for state in states if state.failed]
        for state in forced:
            state.failed = False
        run(handler, hosts)
        for state in states:
            state.handlers_over = state.handlers_over or state.failed
        for state in forced:
            state.failed = True

    def _waits(self, host: str, key: Key) -> bool:
        state = self._context.states[host]
        forced = self._context.force_handlers and not (state.unreachable or state.ended or state.handlers_over)
        return key in state.notified and (state.takes_part or forced)


def _of_role(handler: Task, name: str) -> list[str]:
    """How a handler of a role, or its topic, is also called: `role : name`, `namespace.collection.role : name`."""
    role = handler.common.role
    return [f"{each} : {name}" for each in dict.fromkeys([role.name, role.short_name])] if role else []


def _rendered(name: object, templar: Templar) -> str | None:
    """A handler's name; None where it cannot be told, so that nobody can notify it by that."""
    try:
        return str(templar.render(name)) if name else None
    except WxopsError:
        return None
