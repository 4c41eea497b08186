"""A command line on the host with nothing around it: no conditions, no check mode, and no Python if need be."""

from __future__ import annotations

from wxops.actions import Call, Result
from wxops.errors import NoPython, TaskFailed

FREE_FORM = "_raw_params"


def raw(call: Call, _raw_params: str | None = None, executable: str | None = None) -> Result:
    """Run a command line; in check mode it is skipped.

    It also runs on a host without Python, and may install it. There nothing is journaled, as no agent can be there to
    keep a journal: the rollback of such a run does not know of it.

    executable: the shell, /bin/sh by default.
    """
    if not _raw_params:
        raise TaskFailed("no command given", {"rc": 256})
    if call.check:
        return {"changed": False, "skipped": True}
    try:
        given = {"_raw_params": _raw_params, **({"executable": executable} if executable else {})}
        return call.run("raw", given)
    except NoPython:
        return _without_agent(call, _raw_params, executable)


def _without_agent(call: Call, command: str, executable: str | None) -> Result:
    done = call.shell(command, executable or "/bin/sh")
    result = {"rc": done.rc, "stdout": done.stdout, "stderr": done.stderr, "stdout_lines": done.stdout.splitlines(),
              "stderr_lines": done.stderr.splitlines(), "changed": True}  # fmt: skip
    if done.rc != 0:
        raise TaskFailed("non-zero return code", result)
    return result
