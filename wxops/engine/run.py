"""A whole run: playbooks loaded and refused or taken, hosts chosen, plays run, everything recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxops.actions.catalog import module as module_named
from wxops.engine.connections import Connections
from wxops.engine.context import Interrupted, PlayContext
from wxops.engine.events import Event, Notice, Recap, RunStarted
from wxops.engine.options import RunOptions
from wxops.engine.play_run import run_play, vars_files
from wxops.engine.record import RunRecord, describe, new_run_id
from wxops.engine.state import HostState
from wxops.engine.variables import Variables
from wxops.errors import InputError
from wxops.playbook import data_file
from wxops.playbook.inventory import Inventory
from wxops.playbook.loader import Loader
from wxops.playbook.plays import Play
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity

EXIT_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 2, 4, 130
Emit = Callable[[Event], None]


@dataclass
class Project:
    """The playbooks and hosts of a run, loaded: everything wrong in them has been refused by now."""

    inventory: Inventory
    playbooks: tuple[Path, ...]
    plays: list[Play]
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
        known = Templar(dict(options.extra_vars), vault=options.vault, secrets=secrets)

        def read(path: Path) -> Mapping[str, Any]:
            return data_file.variables(str(path), options.vault, secrets)

        loader = Loader(module_named, read, options.roles_path, known.render)
        plays = [play for path in playbooks for play in loader.playbook(path)]
        project = cls(inventory, tuple(playbooks), plays, loader, options, secrets)
        for play in plays:
            project.hosts(play)
        return project

    def hosts(self, play: Play) -> list[str]:
        """The hosts of a play, within the limit, in the inventory's order."""
        pattern = Templar(dict(self.options.extra_vars), vault=self.options.vault).render(play.hosts)
        return [host.name for host in self.inventory.select(pattern, self.options.limit)]


@dataclass
class Run:
    """One run of a project. `emit` is told everything, masked."""

    project: Project
    emit: Emit
    records: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    run: str = field(default_factory=new_run_id)
    prompt: Callable[[Mapping[str, Any]], Any] | None = None

    def execute(self) -> int:
        """Run all plays; the exit code (0 fine, 2 a host failed, 4 one was unreachable, 130 interrupted)."""
        options = self.project.options
        about = describe(
            self.run, self.project.playbooks, kind="run", check=options.check, limit=options.limit, **self.about
        )
        record = RunRecord(self.records, about)
        tell = _Teller(self.emit, record)
        identity = RunIdentity(self.run, about, options.check, options.verbosity > 0)
        connections = Connections(identity, options, record.agents_used)
        states: dict[str, HostState] = {}
        code = EXIT_INTERRUPTED
        stop = threading.Event()
        with ThreadPoolExecutor(options.forks, thread_name_prefix="host") as pool:
            try:
                tell(RunStarted(self.run, tuple(map(str, self.project.playbooks)), options.check))
                for play in self.project.plays:
                    self._play(play, states, connections, pool, tell, stop)
                code = exit_code(states)
            except (KeyboardInterrupt, Interrupted):
                stop.set()
                connections.cancel()
                tell(Notice("interrupted: nothing more was changed; what was done stands in the journals"))
            finally:
                used, traffic = connections.used(), connections.traffic()
                connections.close()
                tell(Recap(self.run, {name: state.counts for name, state in states.items()}, code == EXIT_INTERRUPTED))
                record.finish(code, used, traffic)
        return code

    def _play(
        self, play: Play, states: dict[str, HostState], connections: Connections, pool: ThreadPoolExecutor, tell: Emit,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        project = self.project
        hosts = project.hosts(play)
        for host in hosts:
            states.setdefault(host, HostState(host)).ended = False
        hosts = [host for host in hosts if states[host].takes_part]
        variables = Variables(project.inventory, project.options, states, project.secrets, play, hosts=hosts)
        variables.prompted = self._prompted(play)
        variables.play_vars = play.vars
        for host in hosts:
            project.inventory.variables(host, str(play.directory))
        project.secrets.add(project.inventory.secrets())
        if hosts:
            variables.vars_files = vars_files(play, variables.templar(hosts[0]), project.loader.read)
        name = str(variables.templar(hosts[0] if hosts else "localhost").render(play.name or play.hosts))
        context = PlayContext(
            play, project.options, variables, states, connections, pool, project.loader, project.secrets, tell, stop,
            list(play.handlers), name,
        )  # fmt: skip
        if not hosts:
            tell(Notice(f"play {name}: no hosts matched"))
            return
        run_play(context, hosts)

    def _prompted(self, play: Play) -> dict[str, Any]:
        """Answers to vars_prompt; a variable given with -e is not asked for."""
        answers: dict[str, Any] = {}
        for question in play.vars_prompt:
            name = str(question.get("name"))
            if name in self.project.options.extra_vars:
                continue
            if self.prompt is None:
                raise InputError(f"the play asks for {name!r}, and nobody is there to answer", where=play.origin,
                                 fix=f"give it with -e {name}=...")  # fmt: skip
            answers[name] = self.prompt(question)
            if question.get("private", True):
                self.project.secrets.add(answers[name])
        return answers


class _Teller:
    """Sends an event to the console and into the record, one at a time."""

    def __init__(self, emit: Emit, record: RunRecord) -> None:
        self._emit, self._record = emit, record
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._record.take(event)
            self._emit(event)


def exit_code(states: Mapping[str, HostState]) -> int:
    """As ansible-playbook: 2 when a task failed somewhere, 4 when a host could not be reached; failures first."""
    if any(state.counts["failed"] for state in states.values()):
        return EXIT_FAILED
    return EXIT_UNREACHABLE if any(state.counts["unreachable"] for state in states.values()) else 0
