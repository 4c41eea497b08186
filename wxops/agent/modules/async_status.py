"""How a job stands that a task with `async` has started."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from wxops.agent import jobs
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change

    Result = Dict[str, Any]

LOOK_S = 0.1


def async_status(
    change: Change, jid: str, mode: Literal["cleanup", "status"] = "status", _wait: Optional[float] = None
) -> Result:
    """Ask for a job that a task with `async` and `poll: 0` has started: its result, or that it has not finished.

    Wait for it with `until: job is finished`. A job that failed fails this task; one that was killed is told from one
    that runs.

    jid: the job, the `ansible_job_id` that the task registered.
    mode: cleanup removes the job's file.
    """
    path = jobs.place_of(jid)
    told = _outcome(change, jid, _wait or 0)
    if told is None:
        raise ModuleFailure(
            "could not find job", ansible_job_id=jid, results_file=path, **dict(_empty(started=True), finished=True)
        )
    if mode == "cleanup":
        _clean_up(change, jid)
        return {"ansible_job_id": jid, "erased": path, **_empty(started=False)}
    if _wait is None:
        told.pop("steps", None)  # the playbook judges the job that it started, not who asks for it
    return {"ansible_job_id": jid, "results_file": path, **_empty(started=True), **told}


def _outcome(change: Change, jid: str, wait: float) -> Optional[Result]:
    """What the job has told, for which this waits so many seconds."""
    deadline = time.monotonic() + wait
    while True:
        told = _read(change, jid)
        if told is None or told["finished"] or time.monotonic() >= deadline:
            return told
        change.stop_if_asked()
        time.sleep(min(LOOK_S, max(0.0, deadline - time.monotonic())))


def _read(change: Change, jid: str) -> Optional[Result]:
    foretold = change.view.foretold.get(jid)
    if foretold is not None:
        return dict(foretold, finished=True)
    dead = jobs.is_dead(jid)  # before its file is read: it may end between the two
    told = jobs.read(jid)
    if told is None or "started" not in told:
        return told if told is None else dict(told, finished=True)
    run = told.pop("_run", None)
    if dead and run is not None:
        message = "the job of run %s ended without a result: it was killed, or the host was restarted" % run
        return dict(told, finished=True, failed=True, msg=message)
    return {"finished": False, **told}


def _clean_up(change: Change, jid: str) -> None:
    if change.view.foretold.pop(jid, None) is None and not change.check:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(jobs.place_of(jid))


def _empty(started: bool) -> Result:
    return {"started": started, "finished": False, "stdout": "", "stderr": "", "stdout_lines": [], "stderr_lines": []}
