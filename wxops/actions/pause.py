"""Waits, once for all hosts of the batch: for a time, or until the operator answers."""

from __future__ import annotations

import datetime
import getpass
import sys
import time

from wxops.actions import Call, Result
from wxops.errors import InputError

QUESTION = "Press enter to continue, Ctrl+C to interrupt"
NOBODY = "Not waiting for response to prompt as stdin is not interactive"


def pause(
    call: Call, seconds: float | None = None, minutes: float | None = None, prompt: str | None = None, echo: bool = True
) -> Result:
    """Wait for a time, or for the Enter key. All hosts wait together, and the first one has the answer.

    Without a terminal nobody can answer: then it goes on, with a warning. Ctrl+C ends the run.

    seconds: how long, a second at least.
    minutes: how long.
    prompt: what to ask; what is typed is `user_input`.
    echo: show what is typed.
    """
    if seconds is not None and minutes is not None:
        raise InputError("parameters are mutually exclusive: minutes|seconds")
    length = int(minutes) * 60 if minutes is not None else None if seconds is None else int(seconds)
    began, start = datetime.datetime.now(), time.monotonic()
    typed, warnings = "", []
    if length is not None:
        call.sleep(max(1, length))
    elif sys.stdin is not None and sys.stdin.isatty():
        typed = _ask(f"[{call.task}]\n{prompt or QUESTION}{'' if echo else ' (output is hidden)'}:", echo)
    else:
        warnings = [NOBODY]
    took = time.monotonic() - start
    told = f"{round(took / 60, 2)} minutes" if minutes is not None or length is None else f"{round(took, 2)} seconds"
    result = {
        "changed": False, "rc": 0, "stderr": "", "stdout": f"Paused for {told}", "start": str(began),
        "stop": str(datetime.datetime.now()), "delta": int(took), "echo": echo, "user_input": typed,
    }  # fmt: skip
    return {**result, "warnings": warnings} if warnings else result


def _ask(question: str, echo: bool) -> str:
    """What the operator types. The question goes where no program reads the run's output."""
    if not echo:
        return getpass.getpass(f"{question}\n")
    print(question, file=sys.stderr, flush=True)
    return sys.stdin.readline().rstrip("\n")
