"""From a started command to an agent that reads frames: banners skipped, the prompt of sudo or su answered once."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from wxops.errors import BecomeRefused, HostUnreachable, NoPython
from wxops.transport.becoming import PROMPT, method_of
from wxops.transport.bootstrap import MARK, NO_PYTHON, OLD_PYTHON
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.pipe import Pipe

BANNER_LIMIT = 256 * 1024

MARK_LINE = re.compile(rb"\n" + MARK.encode() + rb" ([0-9a-f]+)\n")

REFUSALS = {OLD_PYTHON: "the Python on the host is older than 3.7"}
REMEDIES = {"the Python on the host": "install a newer one there, and name it with ansible_python_interpreter"}


@dataclass
class Greeting:
    """What was said before the agent's first byte, the magic number of the host's Python, and what was read beyond.

    error: what came on standard error so far.
    """

    banner: str
    magic: str
    rest: bytes
    error: bytes = b""


def shake_hands(pipe: Pipe, options: ConnectionOptions, become: Become | None) -> Greeting:
    """Wait for the first stage's mark. Raises HostUnreachable with what the host said instead."""
    deadline = time.monotonic() + options.timeout
    out, err, answered = b"", b"", False
    method = method_of(become)
    while (mark := MARK_LINE.search(out)) is None:
        if not pipe.wait(deadline - time.monotonic()):
            raise _failed(options, become, out, err, f"no agent started within {options.timeout:g} s")
        data, error = pipe.read(), pipe.read_error()
        out, err = out + (data or b""), err + (error or b"")
        if become is not None and (asked := method.prompt.search(err)):
            if answered or become.password is None:  # a second prompt: never spend a second attempt
                why = method.refuses_password if answered else method.wants_password
                raise _refused(options, become, why)
            pipe.write(become.password.encode() + b"\n")
            answered = True
            err = err[: asked.start()] + err[asked.end() :]
        if data == b"" or len(out) > BANNER_LIMIT:
            pipe.wait(0.2)
            raise _failed(options, become, out, err + (pipe.read_error() or b""), "the login ended")
    banner = out[: mark.start()].decode("utf-8", "replace").strip()
    return Greeting(banner, mark.group(1).decode(), out[mark.end() :], err)


def _failed(options: ConnectionOptions, become: Become | None, out: bytes, err: bytes, why: str) -> HostUnreachable:
    """The reason in the operator's words, from what the host printed."""
    said = (err + out).decode("utf-8", "replace").replace(PROMPT, "").strip()
    if NO_PYTHON in said:
        return NoPython(
            f"there is no Python on the host (tried {', '.join(options.interpreters)})",
            fix="install python3 (3.7 or later) there, or set ansible_python_interpreter",
        )
    for sign, meaning in (*method_of(become).refusals.items(), *REFUSALS.items()):
        if sign in said:
            return _refused(options, become, meaning)
    return HostUnreachable(f"{why}; the host said: {said[-500:] or 'nothing'}")


def _refused(options: ConnectionOptions, become: Become | None, meaning: str) -> HostUnreachable:
    what = meaning.format(user=options.user or "the login user", become=become.user if become else "")
    remedies = {**method_of(become).remedies, **REMEDIES}
    old, refusing = meaning == REFUSALS[OLD_PYTHON], become is not None
    kind = NoPython if old else BecomeRefused if refusing else HostUnreachable
    return kind(what, fix=next((text for start, text in remedies.items() if what.startswith(start)), None))
