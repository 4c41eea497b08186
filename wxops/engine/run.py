"""A whole run: playbooks loaded and refused or taken, hosts chosen, plays run, everything recorded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxops.actions import catalog
from wxops.engine.additions import Additions
from wxops.engine.connections import Connections
from wxops.engine.context import Interrupted, PlayContext
from wxops.engine.custom_stats import CustomStats
from wxops.engine.events import Event, Notice, PlaybookEnded, PlayStarted, Recap, RunStarted
from wxops.engine.missing import refuse_unconditional
from wxops.engine.options import RunOptions
from wxops.engine.order import ordered
from wxops.engine.play_run import run_play
from wxops.engine.prompting import Ask, answers, refuse_unanswerable
from wxops.engine.record import RunRecord, describe, new_run_id
from wxops.engine.state import HostState
from wxops.engine.stepping import Stepping
from wxops.engine.strategies import refuse_for_all
from wxops.engine.variables import Variables
from wxops.errors import TemplateError, UndefinedVariable, WxopsError
from wxops.playbook import data_file
from wxops.playbook.inventory import Inventory
from wxops.playbook.loader import Loader
from wxops.playbook.plays import Play
from wxops.playbook.prompts import default_answers
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.start_at import starting_at
from wxops.playbook.task_loader import Known
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity

EXIT_ERROR, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 4, 130
Emit = Callable[[Event], None]


@dataclass
class Project:
    """The playbooks and hosts of a run, loaded: everything wrong in them has been refused by now."""

    inventory: Inventory
    playbooks: tuple[Path, ...]
    books: list[list[Play]]
    loader: Loader
    options: RunOptions
    secrets: SecretRegistry = field(default_factory=SecretRegistry)

    @classmethod
    def load(cls, inventory: Inventory, playbooks: Sequence[Path], options: RunOptions) -> Project:
        """Read all playbooks with their roles. Raises InputError with the place of what is wrong."""
        secrets = SecretRegistry()
        for secret in (options.become_password, options.password):
            if secret:
                secrets.add(secret)

        def read(path: Path) -> Mapping[str, Any]:
            return data_file.variables(str(path), options.vault, secrets)

        def render(value: Any, variables: Mapping[str, Any]) -> Any:
            return Templar({**variables, **options.extra_vars}, vault=options.vault, secrets=secrets).render(value)

        known = Known(
            catalog.module, read, options.roles_path, render, catalog.action_group, catalog.collection,
            options.collections_path,
        )  # fmt: skip
        loader = Loader(known, options.strategy, options.no_log)
        books = [loader.playbook(path) for path in playbooks]
        if options.start_at_task is not None:
            books = starting_at(books, options.start_at_task)
        project = cls(inventory, tuple(playbooks), books, loader, options, secrets)
        inventory.require_hosts("all", options.limit)
        for play in project.plays:
            with contextlib.suppress(*[UndefinedVariable] * bool(play.vars_prompt)):  # its hosts may be the answer
                project.hosts(play)
            refuse_unconditional(play, options)
            for task in play.tasks():
                refuse_for_all(play, task)
        return project

    @property
    def plays(self) -> list[Play]:
        """The plays of all playbooks."""
        return [play for book in self.books for play in book]

    def given(self, variables: Mapping[str, Any]) -> Templar:
        """What is known before a host is: these variables, and over them those of -e."""
        extra = self.options.extra_vars
        return Templar({**variables, **extra}, vault=self.options.vault, secrets=self.secrets)

    def hosts(self, play: Play, prompted: Mapping[str, Any] | None = None) -> list[str]:
        """The hosts of a play, within the limit, in its order. prompted: the answers to its vars_prompt."""
        answered = default_answers(play.vars_prompt) if prompted is None else prompted
        given = self.given({**play.vars, **answered})
        selected = [host.name for host in self.inventory.select(given.render(play.hosts), self.options.limit)]
        return ordered(selected, given.render(play.order), play.origin)


@dataclass
class Run:
    """One run of a project. `emit` is told everything, masked."""

    project: Project
    emit: Emit
    records: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    run: str = field(default_factory=new_run_id)
    prompt: Ask | None = None
    step: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        self._additions = Additions(self.project.inventory)
        self._stats = CustomStats()

    def execute(self) -> int:
        """Run all plays; the exit code (0 fine, 2 a host failed, 4 one was unreachable, 130 interrupted)."""
        options = self.project.options
        if self.prompt is None:
            refuse_unanswerable(self.project.plays, options.extra_vars)
        about = describe(
            self.run, self.project.playbooks, kind="run", check=options.check, limit=options.limit, **self.about
        )
        record = RunRecord(self.records, about)
        tell = _Teller(self.emit, record)
        identity = RunIdentity(self.run, about, options.check, options.verbosity > 0)
        connections = Connections(identity, options, record.agent_used)
        states = self._remembered()
        code = EXIT_ERROR
        stop = threading.Event()
        with ThreadPoolExecutor(options.forks, thread_name_prefix="host") as pool:
            try:
                tell(RunStarted(self.run, tuple(map(str, self.project.playbooks)), options.check, work(self.project)))
                for number, book in enumerate(self.project.books):
                    if number:
                        tell(PlaybookEnded(_counts(states)))
                    for play in book:
                        if not self._play(play, states, connections, pool, tell, stop):
                            break
                    code = exit_code(states)
                    if code:  # as ansible-playbook: the next playbook counts on what this one was to do
                        break
            except (KeyboardInterrupt, Interrupted):
                code = EXIT_INTERRUPTED
                stop.set()
                connections.cancel()
                tell(Notice("interrupted: nothing more was changed; what was done stands in the journals"))
            finally:
                used, traffic = connections.used(), connections.traffic()
                connections.close()
                tell(Recap(self.run, _counts(states), code == EXIT_INTERRUPTED, stats=self._stats.kept))
                record.finish(code, used, traffic)
        return code

    def _remembered(self) -> dict[str, HostState]:
        """What earlier runs left of the hosts' facts, where facts are cached."""
        options, hosts = self.project.options, [*self.project.inventory.hosts, "localhost"]
        if options.fact_cache is None:
            return {}
        if options.flush_cache:
            options.fact_cache.flush(hosts)
        return {host: options.fact_cache.recall(host) for host in hosts}

    def _play(
        self, play: Play, states: dict[str, HostState], connections: Connections, pool: ThreadPoolExecutor, tell: Emit,
        stop: threading.Event,
    ) -> bool:  # fmt: skip
        """Run one play; False when the run ends with it."""
        project = self.project
        project.inventory = self._additions.inventory
        given = project.options.extra_vars
        prompted = answers(play, project.given(play.vars), given, self.prompt)
        hosts = project.hosts(play, prompted)
        if not hosts:
            name = _named(play, project.given({**play.vars, **prompted}))
            tell(PlayStarted(name, ()))
            tell(Notice(f"play {name}: no hosts matched"))
            return True
        for host in hosts:
            states.setdefault(host, HostState(host)).begin_play()
            project.inventory.variables(host, str(play.directory))
        project.secrets.add(project.inventory.secrets())
        name = _named(play, project.given({**play.vars, **prompted}))
        variables = Variables(
            project.inventory, project.options, states, project.secrets, play, name, prompted, hosts=hosts, batch=hosts
        )
        context = PlayContext(
            play, project.options, variables, states, connections, pool, project.loader, project.secrets, tell, stop,
            self._additions, name, step=Stepping(self.step) if self.step else None, stats=self._stats,
        )  # fmt: skip
        try:
            return run_play(context, hosts)
        finally:
            if project.options.fact_cache is not None:
                project.options.fact_cache.keep(states.values(), project.secrets)


class _Teller:
    """Sends an event to the console and into the record, one at a time."""

    def __init__(self, emit: Emit, record: RunRecord) -> None:
        self._emit, self._record = emit, record
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._record.take(event)
            self._emit(event)


def _named(play: Play, templar: Templar) -> str:
    """The play's name, or else its pattern of hosts; as written where a template cannot be told."""
    hosts = ",".join(map(str, play.hosts)) if isinstance(play.hosts, list) else play.hosts
    try:
        return templar.secrets.mask(str(templar.render(play.name or hosts)))
    except TemplateError:
        return str(play.name or hosts)


def work(project: Project) -> int:
    """About how many results a run will have: what stands in the plays, and their facts, on each of their hosts."""
    found = 0
    for play in project.plays:
        with contextlib.suppress(WxopsError):  # hosts that cannot be told before the play is reached
            tasks = sum(project.options.selects(task.common.tags) for task in play.tasks())
            found += (tasks + (play.gather_facts not in (False, "no"))) * len(project.hosts(play))
    return found


def _counts(states: Mapping[str, HostState]) -> dict[str, dict[str, int]]:
    return {name: dict(state.counts) for name, state in states.items() if any(state.counts.values())}


def exit_code(states: Mapping[str, HostState]) -> int:
    """As ansible-playbook: 4 when a host could not be reached, else 2 when a task failed somewhere, else 0."""
    lost = [state for state in states.values() if not state.forgiven]
    if any(state.unreachable for state in lost):
        return EXIT_UNREACHABLE
    return EXIT_FAILED if any(state.failed for state in lost) else 0
