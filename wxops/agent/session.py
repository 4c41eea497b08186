"""One run's work on this host: tasks in, results out, with the lock, the journal and the overlay that belong to it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING

from wxops.agent import owed, wire
from wxops.agent.change import Change, Link, View
from wxops.agent.content import SMALL, Content
from wxops.agent.failure import ModuleFailure, Stopped
from wxops.agent.journal import Journal
from wxops.agent.lock import Below, HostLock, described
from wxops.agent.process import Running

if TYPE_CHECKING:
    import queue
    from threading import Event
    from typing import Any, Callable, Dict, Iterator, Optional, Set, Tuple, Union

    from wxops.agent.deadline import Deadline

    Stop = Union[Event, Deadline]

    Send = Callable[..., None]
    Frames = queue.Queue[Tuple[Optional[int], bytes]]


PATIENCE_S = 60.0
"""A controller that says nothing for so long, not even PING, is gone: its host must not stay locked for hours.

Until CONFIGURE says better; it is four times the interval of the controller's PING.
"""


class ControllerLink(Link):
    """The controller at the other end of the frames."""

    def __init__(self, send: Send, frames: Frames, verbose: bool) -> None:
        self._send, self._frames = send, frames
        self._coming = False
        self.output = self._output if verbose else None

    def _output(self, number: int, line: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody looks any more; the command runs to its end all the same
            self._send(wire.OUTPUT, bytes([number]) + line)

    def upload(self, content: Content) -> None:
        """Send a file's bytes to the controller, before the result that speaks of them."""
        for chunk in content.chunks():
            self._send(wire.DATA, chunk)
        self._send(wire.DATA)

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Content that the controller has, as it comes, from that byte on: written once, into its place."""
        self._send(wire.NEED, ("%s %d" % (name, start)).encode("utf-8"))
        self._coming = True
        chunk = self._chunk()
        while chunk:
            yield chunk
            chunk = self._chunk()

    def fetch(self, name: str) -> Content:
        """The same in a file without a name, for who reads it twice; in memory when it is small."""
        import tempfile  # little content is read twice

        spool = tempfile.SpooledTemporaryFile(max_size=SMALL)  # noqa: SIM115  it lives as long as the content
        try:
            for chunk in self.stream(name):
                spool.write(chunk)
            if spool.tell() <= SMALL:
                spool.seek(0)
                return Content(spool.read())
            spool.flush()
        except OSError as error:
            raise ModuleFailure("there is no room for it in %s: %s" % (tempfile.gettempdir(), error.strerror)) from None
        return Content(path="/proc/self/fd/%d" % spool.fileno(), spool=spool)

    def pass_over(self) -> None:
        """Read what a module asked for and did not take (its disk was full), or it would be taken for the next task."""
        while self._coming:
            self._chunk()

    def _chunk(self) -> bytes:
        kind, payload = self._frames.get()
        self._coming = kind == wire.DATA and bool(payload)
        if kind != wire.DATA:
            raise Stopped("the link ended while content was being sent")
        return payload


class Session:
    """Answers CONFIGURE, MODULE, TASK and SETTLE frames until the link ends."""

    def __init__(self, send: Send, frames: Frames, add_files: Callable[[bytes], None]) -> None:
        self._send, self._frames, self._add_files = send, frames, add_files
        self._stop, self._lost = threading.Event(), threading.Event()
        self._commands: Set[int] = set()  # journal entries of commands, which alone may turn out to be no change
        self.running = Running()
        self.lock = HostLock()
        self.view = View()
        self.journal = Journal("none")
        self.check = False
        self._locks, self._holder = False, {}  # type: bool, Dict[str, Any]
        self._below: Optional[Below] = None
        self.patience = PATIENCE_S
        self._link = Link()
        self._host = ""

    def serve(self) -> None:
        answers = {wire.CONFIGURE: self._configure, wire.TASK: self._task, wire.SETTLE: self._settle}
        while not self._lost.is_set():  # whoever waited for content has taken the end's own frame
            kind, payload = self._frames.get()
            if kind is None:
                break
            if kind == wire.MODULE:
                self._add_files(payload)
            else:
                answers[kind](json.loads(payload.decode("utf-8")))
        while not self._frames.empty():  # the link may end right behind the last word, which asks for no answer
            kind, payload = self._frames.get_nowait()
            if kind == wire.SETTLE:
                self._settle(json.loads(payload.decode("utf-8")))

    def cancel(self) -> None:
        """Ctrl-C: end a running command, change nothing more."""
        self._stop.set()
        self.running.interrupt()

    def link_lost(self) -> None:
        """What runs comes to its end (half a package is worse than one too many); nothing new begins."""
        self._lost.set()
        self._stop.set()

    def _configure(self, about: Dict[str, Any]) -> None:
        """Take the lock and say who answers. A check run takes none before a task changes something all the same."""
        self.check = about["check"]
        self.patience = about["patience"]
        self._link = ControllerLink(self._send, self._frames, about["verbose"])
        self._host = about["host"]
        self.journal = Journal(about["run"], about["host"], about["about"])
        hello: Dict[str, Any] = {
            "pid": os.getpid(), "euid": os.geteuid(), "python": sys.version.split()[0],
            "boot_id": _boot_id(), "holder": None, "time": time.time(),
        }  # fmt: skip
        self._locks, self._holder = about["lock"], dict(about["about"], run=about["run"])
        self._below = Below(self.lock, self._holder, self._stop.is_set)
        if self._locks:
            try:
                hello["holder"] = self.lock.take(self._holder, self._stop.is_set)
            except OSError as error:
                hello["warning"] = "no lock: %s cannot be written (%s)" % (self.lock.path, error.strerror)
        left = owed.of_host(about["host"])
        if left:
            hello["owed"] = left
        self._reply(wire.HELLO, hello)

    def _task(self, task: Dict[str, Any]) -> None:
        """Run a module for each item; an item that fails does not stop the others, as in Ansible's loops."""
        work = self._run if task.get("async") is None else self._start_job
        for index, arguments in enumerate(task["items"]):
            started = time.time()
            other = self._other_run(task)
            result = work(task, arguments) if other is None else _held_by(other)
            self._link.pass_over()
            result["ms"] = round((time.time() - started) * 1000, 1)
            self._send(wire.RESULT, _answer(index, result))
        self.lock.lend()
        self._send(wire.DONE)

    def _other_run(self, task: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Who else's run holds this host, which the task is to change; if none does, none changes it until DONE."""
        changes = not task.get("check", self.check) and task.get("journaled", True)
        if not (self._locks or changes):
            return None
        try:
            return self.lock.take(self._holder, self._stop.is_set) or self.lock.turn(self._stop.is_set)
        except OSError:
            return None  # HELLO has warned; where no lock can be, no journal can, and so no change

    def _run(self, task: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        if not task.get("timeout"):
            return self._run_until(self._stop, self.running, task, arguments)
        from wxops.agent.deadline import Deadline  # few tasks have one

        with Deadline(task["timeout"], self._stop) as deadline:
            self.running = deadline.running
            result = self._run_until(deadline, deadline.running, task, arguments)
        self.running = Running()
        return {**result, **deadline.result()} if deadline.over else result

    def _start_job(self, task: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Run a module in a process that outlives this agent. Check mode runs it here, through the overlay."""
        jobs = import_module("wxops.agent.jobs")  # it came with the task
        task = dict(task, timeout=None)

        def work() -> Dict[str, Any]:
            self._stop, self.running, self._link = job.stop, job.running, jobs.Link(contents)
            self._below = None  # nobody waits for a job, so nobody works below it
            self.journal = self.journal.for_child()
            return dict(self._run(task, arguments), _commands=sorted(self._commands))

        try:
            with _Surroundings(task):
                if self.check:
                    name = "j%d.0" % len(self.view.foretold)
                    self.view.foretold[name] = self._run(task, arguments)
                    return dict(jobs.begun(name))
                contents = jobs.contents(arguments, self._link)
                job = jobs.Job(self.journal.run, task["async"])
                return dict(job.start(work, [each for content in contents.values() for each in content.descriptors]))
        except ModuleFailure as failure:
            return dict(failure.result, failed=True, changed=False)

    def _run_until(
        self, stop: Stop, running: Running, task: Dict[str, Any], arguments: Dict[str, Any]
    ) -> Dict[str, Any]:
        check = task.get("check", self.check)
        change = Change(
            self.view if check == self.check else View(), self.journal, check=check, stop=stop, task=task["task"],
            module=task["module"], link=self._link, running=running, inverse=task.get("rollback"),
            journaled=task.get("journaled", True), hidden=task.get("hidden", False), first=self._noting(task),
            below=self._below,
        )  # fmt: skip
        result: Dict[str, Any] = {}
        try:
            change.stop_if_asked()
            with _Surroundings(task):
                function = getattr(import_module("wxops.agent.modules." + task["module"]), task["module"])
                result = function(change, **_with_paths_expanded(function, arguments)) or {}
        except ModuleFailure as failure:
            result = dict(failure.result, failed=True)
        except Stopped as stopped:
            result = {"failed": True, "msg": str(stopped), "stopped": True}
        except Exception as error:
            import traceback  # only a bug needs it

            result = {"failed": True, "msg": _unexpected(error), "exception": traceback.format_exc()}
        return self._outcome(change, result)

    def _outcome(self, change: Change, result: Dict[str, Any]) -> Dict[str, Any]:
        result["changed"] = bool(result.get("changed", change.changed))
        for name in ("stdout", "stderr"):  # Ansible adds the lines to what every module returns
            if isinstance(result.get(name), str):
                result.setdefault(name + "_lines", result[name].splitlines())
        if change.diffs:
            result["diff"] = change.diffs
        if change.steps:
            result["steps"] = list(change.steps)
            self._commands.update(step for step, kind in change.steps.items() if kind == "command")
        self._commands.update(result.pop("_commands", ()))  # those of a job that has ended
        if change.warnings:
            result["warnings"] = change.warnings
        return result

    def _noting(self, task: Dict[str, Any]) -> Optional[Callable[[], None]]:
        """Keeps the handlers that are to follow a change of this task."""
        follow = task.get("notify")
        if follow is None:
            return None
        return lambda: owed.note(self._host, self.journal.run, task["task"], follow["play"], follow["names"])

    def _settle(self, judged: Dict[str, Any]) -> None:
        for step in self._commands.intersection(judged["void"]):
            self.journal.void(step)
        for step in judged["hide"]:
            self.journal.hide(step)
        if "note" in judged:
            with contextlib.suppress(OSError):  # a full disk: nobody waits for an answer
                owed.note(self._host, self.journal.run, "", **judged["note"])
        if "owed" in judged and not self.check:
            owed.done(self._host, **judged["owed"])

    def _reply(self, kind: int, value: Any) -> None:
        self._send(kind, _json(value))


def _with_paths_expanded(function: Any, arguments: Dict[str, Any]) -> Dict[str, Any]:
    """The arguments, with `~` and $VARIABLES filled in where the function asks for a path."""
    paths = [name for name, kind in function.__annotations__.items() if "Path" in kind]
    expanded = {name: arguments[name] for name in paths if isinstance(arguments.get(name), str)}
    return {**arguments, **{name: os.path.expanduser(os.path.expandvars(path)) for name, path in expanded.items()}}


def _held_by(other: Dict[str, Any]) -> Dict[str, Any]:
    message = "another run holds this host: %s: wait for it to end" % described(other)
    return {"changed": False, "failed": True, "msg": message}


def _answer(index: int, result: Dict[str, Any]) -> bytes:
    """A RESULT's payload. One that fits into no frame says so, and still which steps it took."""
    data = _json({"item": index, "result": result})
    if len(data) <= wire.MAX_PAYLOAD:
        return data
    kept: Dict[str, Any] = {key: result[key] for key in ("changed", "steps", "ms", "rc") if key in result}
    message = "its result of %d MiB does not fit into an answer (%d MiB)" % (len(data) >> 20, wire.MAX_PAYLOAD >> 20)
    return _json({"item": index, "result": dict(kept, failed=True, msg=message)})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode("utf-8")


class _Surroundings:
    """The task's `environment:` for modules and the commands that they run, and the directory to be in."""

    def __init__(self, task: Dict[str, Any]) -> None:
        self.values, self.before = task.get("environment") or {}, {}  # type: Dict[str, str], Dict[str, Optional[str]]
        self.directory = task.get("directory")  # type: Optional[str]

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.values}
        os.environ.update(self.values)
        if self.directory:
            with contextlib.suppress(OSError):  # another user may not enter it
                os.chdir(self.directory)

    def __exit__(self, *_: Any) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError):
        place = " (%s)" % error.filename if error.filename else ""
        return "%s%s" % (error.strerror or error, place)
    return "%s: %s" % (type(error).__name__, error)


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""
