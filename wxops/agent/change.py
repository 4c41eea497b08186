"""The one door through which modules change a host: check mode, diff, journal and stop live here, under them all.

A module reads states with `change.state(kind, name)` and asks for states with `change.set(kind, name, state)`.
In check mode `set` writes to an overlay in memory, and `state` reads through it, so that later tasks see
what earlier ones would have done. Otherwise the inverse is on disk, synced, before the host is touched.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure, Stopped
from wxops.agent.files import Files
from wxops.agent.process import run
from wxops.agent.resources import kind_named

if TYPE_CHECKING:
    from threading import Event
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

    from wxops.agent.content import Content
    from wxops.agent.deadline import Deadline
    from wxops.agent.journal import Journal
    from wxops.agent.lock import Below
    from wxops.agent.process import Completed, Running
    from wxops.agent.resources import State


class Link:
    """What a module may ask of the controller. This one stands where there is none (a module run alone)."""

    output: Optional[Callable[[int, bytes], None]] = None
    """Shows a line of a running command: (1 stdout or 2 stderr, line). None when nobody looks."""

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Content that the controller has, by name, as it comes."""
        raise ModuleFailure("there is no controller to bring %s" % name)

    def fetch(self, name: str) -> Content:
        """The same, kept on this host, so that it can be read more than once."""
        raise ModuleFailure("there is no controller to bring %s" % name)

    def pass_over(self) -> None:
        """Forget content that was asked for and not taken."""

    def upload(self, content: Content) -> None:
        """Send content to the controller, before the result that speaks of it."""
        raise ModuleFailure("there is no controller to take a file")


NO_LINK = Link()


class View:
    """The states of the host as the tasks so far left them, or in check mode would have left them."""

    def __init__(self) -> None:
        self.overlay: Dict[Tuple[str, str], State] = {}
        self.foretold: Dict[str, Dict[str, Any]] = {}  # jobs that check mode would have started -> their results

    def state(self, kind: str, name: str) -> State:
        if (kind, name) in self.overlay:
            state = self.overlay[kind, name]
            return self.state("file", state["target"]) if state.get("type") == "hard" else state
        if kind == "file" and self.overlay and self._below_gone(name):
            return {"type": "absent"}
        return kind_named(kind).read(name, self)

    def put(self, kind: str, name: str, before: State, after: State) -> None:
        """What check mode would have made of it. With a directory that is none any more, what was below it is gone."""
        if kind == "file" and before["type"] == "directory" != after["type"]:
            for below in [key for key in self.overlay if key[0] == kind and key[1].startswith(name + "/")]:
                del self.overlay[below]
        self.overlay[kind, name] = after

    def pending(self, kind: str) -> List[str]:
        """Names of that kind that check mode would have changed so far."""
        return [name for (of, name) in self.overlay if of == kind]

    def _below_gone(self, path: str) -> bool:
        """Would a directory above be removed, replaced or new (and so empty) by now?"""
        parent = os.path.dirname(path)
        while parent not in ("/", ""):
            if ("file", parent) in self.overlay:
                above = self.overlay["file", parent]
                return bool(above["type"] != "directory" or above.get("fresh"))
            parent = os.path.dirname(parent)
        return False


class Change(Files):
    """What one task may do to this host. `changed` and `diffs` are its outcome."""

    def __init__(
        self,
        view: View,
        journal: Journal,
        *,
        check: bool = False,
        stop: Union[Event, Deadline, None] = None,
        task: str = "",
        module: str = "",
        link: Link = NO_LINK,
        running: Optional[Running] = None,
        inverse: Optional[str] = None,
        journaled: bool = True,
        hidden: bool = False,
        first: Optional[Callable[[], None]] = None,
        below: Optional[Below] = None,
    ) -> None:
        """stop: set when the controller is gone; link: brings content and takes it away, shows output;

        running: where a command that Ctrl-C may end is put; inverse: the task's `rollback:`;
        journaled: False for a task that says `changed_when: false`, whose commands are only questions;
        hidden: a secret is in it, so a rollback is not to show what it takes back;
        first: called before the first step, to keep what is to follow the change;
        below: lets the runs that a command starts work on this host while the command lasts.
        """
        self.view, self.journal, self.check = view, journal, check
        self.task, self.module = task, module
        self.link, self.running, self._stop = link, running, stop
        self.inverse, self.journaled, self.hidden, self._first = inverse, journaled, hidden, first
        self._below = below
        self.changed = False
        self.diffs: List[Dict[str, str]] = []
        self.steps: Dict[int, str] = {}  # journal entries -> kind
        self.warnings: List[str] = []

    def state(self, kind: str, name: str) -> State:
        """The state of a resource now, through the overlay of check mode."""
        return self.view.state(kind, name)

    def set(self, kind: str, name: str, wanted: State) -> bool:
        """Bring a resource to the wanted state; True if that changed (or in check mode: would change) it.

        wanted: the parts of the state that matter; parts left out stay as they are.
        """
        of, before = kind_named(kind), self.state(kind, name)
        if of.same(before, wanted):
            return False
        self.stop_if_asked()
        after = of.merged(before, wanted)
        refused = of.refusal(name, before, after)
        if refused is not None:
            raise _failed(kind, name, refused)
        diff = of.diff(name, before, after)
        if self.check:
            self._tell(diff)
            self.view.put(kind, name, before, of.predict(before, after))
            return True
        with self._unchanged_without_journal():
            saved = of.save(name, before, after, self.journal)
        step = self.begin(kind, name, saved, of.fingerprint(after))
        try:
            of.write(name, after)
        except OSError as error:
            raise _failed(kind, name, error.strerror or str(error)) from None
        self._tell(diff)
        self.journal.done(step)
        return True

    def act(self, kind: str, name: str, **details: Any) -> bool:
        """Do something that is not a state (restart a unit, reload systemd): always a change.

        Its kind's `write` does it; on rollback it is done again, after the states are back.
        """
        self.stop_if_asked()
        step = None if self.check else self.begin(kind, name, details, None)
        if step is not None:
            kind_named(kind).write(name, details)
        self._tell({"prepared": "%s %s\n" % (kind, name)})
        if step is not None:
            self.journal.done(step)
        return True

    def run_command(self, argv: Sequence[str], shown: str, **options: Any) -> Completed:
        """Run a command that changes the host in a way that only its task's `rollback:` can take back."""
        self.stop_if_asked()
        step = self.begin("command", shown, {"rollback": self.inverse}, None) if self.journaled else None
        self.changed = True
        with self._below.waiting() if self._below else contextlib.nullcontext():
            environment = self._below.environment if self._below else None
            done = run(argv, output=self.link.output, running=self.running, environment=environment, **options)
            if step is not None:
                self.journal.done(step)
        return done

    def begin(self, kind: str, name: str, before: State, after: Any) -> int:
        """Put a step's inverse on disk; `self.journal.done(...)` when the host has been changed."""
        step = {"kind": kind, "name": name, "before": before, "after": after, "task": self.task, "module": self.module}
        if self.hidden:
            step["hidden"] = True
        with self._unchanged_without_journal():
            if self._first is not None and not self.steps:
                self._first()
            sequence = self.journal.begin(step)
        self.steps[sequence] = kind
        return sequence

    @contextlib.contextmanager
    def _unchanged_without_journal(self) -> Iterator[None]:
        """What cannot be taken back is not begun."""
        try:
            yield
        except OSError as error:
            raise ModuleFailure(
                "nothing was changed: the state before cannot be kept in %s (%s)"
                % (self.journal.directory, error.strerror)
            ) from None

    def _tell(self, diff: Dict[str, str]) -> None:
        self.changed = True
        self.diffs.append(diff)

    def stop_if_asked(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped("the controller is gone or asked to stop")


def _failed(kind: str, name: str, reason: str) -> ModuleFailure:
    return ModuleFailure("%s %s cannot be changed: %s" % (kind, name, reason), path=name)
