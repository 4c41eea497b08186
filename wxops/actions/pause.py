"""Waits."""

from __future__ import annotations

import time

from wxops.actions import Call, Result, succeed
from wxops.errors import InputError


def pause(
    call: Call, seconds: float | None = None, minutes: float | None = None, prompt: str | None = None, echo: bool = True
) -> Result:
    """Wait for a time, or for the Enter key.

    seconds: how long.
    minutes: how long.
    prompt: what to show; without a time it waits for Enter, on a terminal only.
    echo: show what is typed.
    """
    length = (seconds or 0) + 60 * (minutes or 0)
    started = time.time()
    typed = ""
    if seconds is not None or minutes is not None:
        call.sleep(length)
    else:
        typed = _ask(prompt or "Press enter to continue", echo)
    return succeed(delta=round(time.time() - started), user_input=typed, rc=0, stdout=f"Paused for {length:g} seconds")


def _ask(prompt: str, echo: bool) -> str:
    import getpass
    import sys

    if not sys.stdin.isatty():
        raise InputError("pause waits for a key, and there is no terminal", fix="give it seconds or minutes")
    return input(f"{prompt}: ") if echo else getpass.getpass(f"{prompt}: ")
