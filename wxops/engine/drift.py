"""What is no longer as the last run left it: a check of the playbooks, and what the journals on the hosts know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from wxops.engine.acted import likely, reach_as
from wxops.engine.connections import Connections
from wxops.engine.events import Event, PlayStarted, Recap, TaskResult, TaskStarted
from wxops.engine.judging import item_results
from wxops.engine.record import past_run
from wxops.engine.run import EXIT_ERROR, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNREACHABLE, Project, Run
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity

Cause = Literal["host", "playbook", "unknown"]
"""host: changed there since a run set it; playbook: as that run left it, but the playbook says otherwise by now;

unknown: no journal on the host knows of it.
"""
Status = Literal["none", "drift", "failed", "unreachable"]


@dataclass(frozen=True)
class Setter:
    """The run that set a thing last."""

    run: str
    task: str
    started: str = ""
    user: str = ""


@dataclass(frozen=True)
class Drifted:
    """A thing that is not as it was left. task: what would set it back; "" where the playbook's tasks would not."""

    host: str
    name: str
    cause: Cause
    task: str = ""
    module: str = ""
    where: str = ""
    set_by: Setter | None = None
    diff: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class HostDrift:
    """One host: what drifted, or why that cannot be told."""

    status: Status
    drifted: tuple[Drifted, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """All hosts of the playbooks. checked: the id of the check."""

    checked: str
    playbooks: tuple[str, ...]
    hosts: Mapping[str, HostDrift]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """4 when a host could not be asked, else 1 when a check failed, else 2 when something drifted, else 0."""
        found = {host.status for host in self.hosts.values()}
        codes = {"unreachable": EXIT_UNREACHABLE, "failed": EXIT_ERROR, "drift": EXIT_FAILED}
        if self.interrupted:
            return EXIT_INTERRUPTED
        return next((code for status, code in codes.items() if status in found), 0)


@dataclass
class _Heard:
    """What the check told, by host."""

    changes: dict[str, list[TaskResult]] = field(default_factory=dict)
    problems: dict[str, tuple[Status, str]] = field(default_factory=dict)
    handlers: set[str] = field(default_factory=set)
    interrupted: bool = False

    def __call__(self, event: Event) -> None:
        match event:
            case PlayStarted():
                for host in event.hosts:
                    self.changes.setdefault(host, [])
            case TaskStarted():
                (self.handlers.add if event.handler else self.handlers.discard)(event.task)
            case TaskResult() if event.status in ("failed", "unreachable") and not event.is_item:
                status: Status = "unreachable" if event.status == "unreachable" else "failed"
                self.problems[event.host] = (status, f"{event.task}: {event.result.get('msg', '')}")
            case TaskResult() if event.result.get("changed") and event.task not in self.handlers:
                if event.is_item or not item_results(event.result):
                    self.changes.setdefault(event.host, []).append(event)
            case Recap():
                self.interrupted = event.interrupted


def find_drift(project: Project, records: Path, about: Mapping[str, Any]) -> Report:
    """Check the playbooks on their hosts, then ask the journals there. Nothing is changed."""
    project = replace(project, options=replace(project.options, check=True, diff=True))
    heard = _Heard()
    run = Run(project, heard, records, about)
    run.execute()
    agents = past_run(records, run.run).about.get("agents") or {}
    known = _Journals(project, run.run).of_hosts({host: agents.get(host, []) for host in heard.changes})
    playbooks = {path.name for path in project.playbooks}
    hosts = {host: _of_host(host, heard, known.get(host, []), playbooks) for host in heard.changes}
    return Report(run.run, tuple(map(str, project.playbooks)), hosts, heard.interrupted)


def _of_host(host: str, heard: _Heard, things: Any, playbooks: set[str]) -> HostDrift:
    if isinstance(things, HostDrift):
        return things
    drifted = [_from_check(event, things) for event in heard.changes[host]]
    named = {name for each in drifted for name in each.name.split(", ")}
    drifted += [_from_journal(host, thing) for thing in things
                if thing["as_left"] is False and thing["name"] not in named and _is_of(thing, playbooks)]  # fmt: skip
    if host in heard.problems:
        status, problem = heard.problems[host]
        return HostDrift(status, tuple(drifted), problem)
    return HostDrift("drift" if drifted else "none", tuple(drifted))


def _is_of(thing: Mapping[str, Any], playbooks: set[str]) -> bool:
    """Was it one of these playbooks that set it, wherever they lay then?"""
    return bool(playbooks & {Path(name).name for name in thing["about"].get("playbooks", [])})


def _from_check(event: TaskResult, things: Sequence[Mapping[str, Any]]) -> Drifted:
    """A task that would change something, and what the journal knows of that."""
    diffs = event.result.get("diff") or []
    diffs = diffs if isinstance(diffs, list) else [diffs]
    headers = [str(diff.get("after_header") or diff.get("before_header") or "") for diff in diffs]
    names = {header.removesuffix(" (content)").removesuffix(" (file attributes)") for header in headers if header}
    mine = [t for t in things if t["name"] in names] or [t for t in things if t["task"] == event.task and not names]
    cause: Cause = "unknown"
    if mine:
        cause = "playbook" if all(thing["as_left"] for thing in mine) else "host"
    changed = next((thing for thing in mine if not thing["as_left"]), mine[0] if mine else None)
    names = names or {thing["name"] for thing in mine if not thing["as_left"]}
    label = f" ({event.item})" if event.is_item and not names else ""
    return Drifted(
        event.host, name=", ".join(sorted(names)) or event.task + label, cause=cause, task=event.task,
        module=event.module, where=event.where, set_by=_setter(changed) if changed else None, diff=diffs,
    )  # fmt: skip


def _from_journal(host: str, thing: Mapping[str, Any]) -> Drifted:
    """Something that a run set and that the playbook's tasks would leave as it is now."""
    diff = [{"before_header": f"{thing['name']} now", "after_header": f"{thing['name']} as it was left",
             "before": _lines(thing["now"]), "after": _lines(thing["was"])}] if "was" in thing else []  # fmt: skip
    return Drifted(host, thing["name"], "host", module=thing["module"], set_by=_setter(thing), diff=diff)


def _lines(state: Mapping[str, Any]) -> str:
    return "".join(f"{key}: {f'{value:04o}' if key == 'mode' and isinstance(value, int) else value}\n"
                   for key, value in sorted(state.items()) if value is not None)  # fmt: skip


def _setter(thing: Mapping[str, Any]) -> Setter:
    about = thing["about"]
    return Setter(thing["run"], thing["task"], str(about.get("started", "")), str(about.get("user", "")))


class _Journals:
    """Asks the hosts what their journals know, as the users that the check logged in as."""

    def __init__(self, project: Project, run: str) -> None:
        self._project = project
        self._connections = Connections(RunIdentity(run, check=True), project.options)

    def of_hosts(self, agents: Mapping[str, Any]) -> dict[str, Any]:
        """Host -> things, or what to report of a host that cannot be asked."""
        try:
            with ThreadPoolExecutor(max(1, min(self._project.options.forks, len(agents) or 1))) as pool:
                return dict(zip(agents, pool.map(lambda host: self._of(host, agents[host]), agents), strict=True))
        finally:
            self._connections.close()

    def _of(self, host: str, acted: Sequence[Mapping[str, Any]]) -> list[Any] | HostDrift:
        templar = self._templar(host)
        try:
            things = [each for who in acted or likely(templar, self._project.options)
                      for each in self._ask(host, templar, who)]  # fmt: skip
            return list({(thing["kind"], thing["name"]): thing for thing in things}.values())
        except HostUnreachable as error:
            return HostDrift("unreachable", problem=str(error))
        except WxopsError as error:
            return HostDrift("failed", problem=str(error))

    def _templar(self, host: str) -> Templar:
        inventory, options = self._project.inventory, self._project.options
        known = inventory.variables(host) if host in inventory.hosts else {}
        return Templar({**known, **options.extra_vars}, vault=options.vault, secrets=self._project.secrets)

    def _ask(self, host: str, templar: Templar, who: Mapping[str, Any]) -> Iterator[Any]:
        variables, become = reach_as(templar, who, self._project.options)
        with self._connections.agent(host, variables, become) as agent:
            ((_, result),) = agent.run("drift", [{}], task="drift", check=True)
        if result.get("failed"):
            raise WxopsError(str(result.get("msg", "")))
        yield from self._project.secrets.mask_data(result["things"])
