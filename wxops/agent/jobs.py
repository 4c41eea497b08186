"""Jobs: tasks with `async`, which go on in a process of their own when the agent, its link or the controller is gone.

A job's file holds what `async_status` answers: that it has started, and at its end the module's result. Below the
state directory each job that runs has a mark, locked by its process: so one that was killed is known to be dead, and
a rollback knows what still runs. What a job changes it writes into the journal of its run itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import threading
import time
from typing import TYPE_CHECKING

from wxops.agent import change
from wxops.agent.content import CHUNK
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import KEPT_DAYS, state_directory
from wxops.agent.process import GRACE_S, Running

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

    from wxops.agent.content import Content

    Result = Dict[str, Any]

TIMEOUT = "Timeout exceeded"


def directory() -> str:
    """Where the files of jobs lie: below the state directory, unless the task's environment says otherwise."""
    own = os.path.join(state_directory(), "async")
    return os.path.abspath(os.path.expanduser(os.environ.get("ANSIBLE_ASYNC_DIR") or own))


def read(job: str) -> Optional[Result]:
    """What a job has told so far; None when there is no such job. Raises ModuleFailure for what is no job's file."""
    try:
        with open(place_of(job), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return None
    try:
        told: Result = json.loads(text) if text else {"started": True}
    except ValueError:
        raise ModuleFailure(
            "Could not parse job output: %s" % text, ansible_job_id=job, results_file=place_of(job), started=True,
            finished=True,
        ) from None  # fmt: skip
    return told


def place_of(job: str) -> str:
    """The file of a job, whose name is nothing but a name."""
    return os.path.join(directory(), os.path.basename(job) or "none")


def is_dead(job: str) -> bool:
    """Has a job of ours ended without a result? To be asked before its file is read once more."""
    return not _is_locked(_mark(job))


def running(run: str) -> List[str]:
    """The jobs of a run that still change this host."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(_marks())):
            with contextlib.suppress(OSError, ValueError), open(os.path.join(_marks(), name)) as file:
                if json.load(file)["run"] == run and _is_locked(os.path.join(_marks(), name)):
                    found.append(name)
    return found


class Link(change.Link):
    """The controller as a job has it: only with the content that was asked for before the job began."""

    def __init__(self, contents: Dict[str, Content]) -> None:
        self.contents = contents

    def fetch(self, name: str) -> Content:
        return self.contents[name]

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        with self.contents[name].open() as file:
            file.seek(start)
            yield from iter(lambda: file.read(CHUNK), b"")


def contents(arguments: Any, link: change.Link) -> Dict[str, Content]:
    """What the arguments of a task offer, brought here: a job cannot ask the controller for it later."""
    if isinstance(arguments, dict):
        if isinstance(arguments.get("offer"), str):
            return {arguments["offer"]: link.fetch(arguments["offer"])}
        arguments = list(arguments.values())
    found: Dict[str, Content] = {}
    for each in arguments if isinstance(arguments, list) else []:
        found.update(contents(each, link))
    return found


class Job:
    """One task that goes on by itself. `stop` and `running` end what it does when its time is over."""

    def __init__(self, run: str, limit: float) -> None:
        """limit: seconds after which it is ended; 0 means never."""
        self.run, self.limit = run, limit
        self.stop, self.running = threading.Event(), Running()
        self.name = ""
        self._late = self._over = False
        self._ending = threading.Lock()

    def start(self, work: Callable[[], Result], keep: List[int]) -> Result:
        """Begin in a process that nobody waits for; what the task answers now. keep: descriptors that it needs."""
        try:
            for folder in (directory(), _marks()):
                os.makedirs(folder, mode=0o700, exist_ok=True)
        except OSError as error:
            raise ModuleFailure("could not create directory: %s - %s" % (directory(), error.strerror)) from None
        _remove_old()
        hears, tells = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_born(work, tells, [tells, *keep])
        os.close(tells)
        os.waitpid(child, 0)
        with open(hears, "rb") as pipe:
            said = json.loads(pipe.read() or b'{"error": "its process ended at once"}')
        if "error" in said:
            raise ModuleFailure("the job cannot be started: %s" % said["error"])
        return begun(said["job"])

    def _be_born(self, work: Callable[[], Result], tells: int, keep: List[int]) -> None:
        """In the child: become a process of its own, say so, do the work, and never return."""
        status = 1
        try:
            os.setsid()
            if os.fork():
                os._exit(0)
            _let_go(keep)
            self.name = "j%d.%d" % (random.SystemRandom().randrange(10**12), os.getpid())
            try:
                self._announce()
                said = {"job": self.name}
            except OSError as error:
                said = {"error": error.strerror or str(error)}
            os.write(tells, json.dumps(said).encode())
            os.close(tells)
            if "job" in said:
                self._do(work)
                status = 0
        finally:
            os._exit(status)

    def _announce(self) -> None:
        mark = os.open(_mark(self.name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)  # held until the process ends
        fcntl.flock(mark, fcntl.LOCK_EX)
        os.write(mark, json.dumps({"run": self.run, "pid": os.getpid()}).encode())
        _write(self.name, {"started": True, "finished": False, "ansible_job_id": self.name, "_run": self.run})

    def _do(self, work: Callable[[], Result]) -> None:
        if self.limit:
            clock = threading.Timer(self.limit, self._expire)
            clock.daemon = True
            clock.start()
        self._end(work())

    def _expire(self) -> None:
        """Its time is over: the command that it runs is ended, and what does not end then is left where it is."""
        self._late = True
        self.stop.set()
        self.running.interrupt()
        time.sleep(GRACE_S)
        self._end({"changed": False})
        os._exit(1)

    def _end(self, result: Result) -> None:
        with self._ending:
            if self._over:
                return
            if self._late:
                result = dict(result, failed=True, msg=TIMEOUT, child_pid=os.getpid())
            _write(self.name, result)
            os.unlink(_mark(self.name))
            self._over = True


def begun(job: str) -> Result:
    """What a task answers that only started a job."""
    return {"changed": True, "started": True, "finished": False, "ansible_job_id": job, "results_file": place_of(job)}


def _marks() -> str:
    return os.path.join(state_directory(), "async-running")


def _mark(job: str) -> str:
    return os.path.join(_marks(), os.path.basename(job))


def _is_locked(path: str) -> bool:
    """Does a process hold it? The lock goes with the process, however that ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _write(job: str, result: Result) -> None:
    """In one step, so that who looks sees the state before or the one after."""
    path = place_of(job)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(result, file, default=str)
    os.rename(path + ".new", path)


def _let_go(keep: List[int]) -> None:
    """Nothing of the link stays open here, or else the login would not end before the job does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in keep:
            with contextlib.suppress(OSError):  # the one that read the directory
                os.close(descriptor)


def _remove_old() -> None:
    """Results that nobody asked for in a month, and marks of jobs that were killed: one that begins locks its own."""
    for folder, age in ((os.path.join(state_directory(), "async"), KEPT_DAYS * 86400), (_marks(), 60)):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime < time.time() - age and not _is_locked(_mark(name)):
                    os.unlink(path)
