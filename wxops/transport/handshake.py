"""From a started command to an agent that reads frames: banners skipped, sudo's prompt answered once."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from wxops.errors import HostUnreachable
from wxops.transport.bootstrap import MARK, NO_PYTHON, OLD_PYTHON, PROMPT
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.pipe import Pipe

BANNER_LIMIT = 256 * 1024

MARK_LINE = re.compile(rb"\n" + MARK.encode() + rb" ([0-9a-f]+)\n")

REFUSALS = {
    "incorrect password attempt": "sudo refuses the password of {user!r}",
    "Sorry, try again": "sudo refuses the password of {user!r}",
    "Authentication failed": "sudo refuses the password of {user!r}",
    "incorrect authentication attempt": "sudo refuses the password of {user!r}",
    "password is expired": "the password of {user!r} has expired on the host",
    "is your account locked": "the account of {user!r} is locked or has expired on the host",
    "a password is required": "sudo on the host wants a password",
    "interactive authentication is required": "sudo on the host wants a password",
    "is not in the sudoers file": "{user!r} may not use sudo on the host",
    "is not allowed to execute": "sudo does not allow {user!r} to run commands as {become!r}",
    "unknown user": "sudo on the host knows no user {become!r}",
    "must have a tty": "sudo on the host wants a terminal (requiretty)",
    "sudo: not found": "there is no sudo on the host",
    "sudo: command not found": "there is no sudo on the host",
    "I'm afraid I can't do that": "{user!r} may not use sudo on the host",
    OLD_PYTHON: "the Python on the host is older than 3.7",
}
REMEDIES = {
    "sudo refuses the password": "give the right one with --ask-become-pass or ansible_become_password; "
    "it was tried once only, so that the account is not locked",
    "sudo on the host wants a password": "give it with --ask-become-pass (-K) or --become-password-file",
    "the password of": "log in there once and choose a new one",
    "the Python on the host": "install a newer one there, and name it with ansible_python_interpreter",
    "sudo on the host wants a terminal": "remove `Defaults requiretty` for this user in /etc/sudoers",
}


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
    while (mark := MARK_LINE.search(out)) is None:
        if not pipe.wait(deadline - time.monotonic()):
            raise _failed(options, become, out, err, f"no agent started within {options.timeout:g} s")
        data, error = pipe.read(), pipe.read_error()
        out, err = out + (data or b""), err + (error or b"")
        if PROMPT.encode() in err and not answered and become is not None and become.password is not None:
            pipe.write(become.password.encode() + b"\n")
            answered = True
            err = err.replace(PROMPT.encode(), b"", 1)
        elif answered and PROMPT.encode() in err:  # a second prompt: never spend a second attempt
            raise _failed(options, become, out, b"Sorry, try again", "")
        if data == b"" or len(out) > BANNER_LIMIT:
            pipe.wait(0.2)
            raise _failed(options, become, out, err + (pipe.read_error() or b""), "the login ended")
    banner = out[: mark.start()].decode("utf-8", "replace").strip()
    return Greeting(banner, mark.group(1).decode(), out[mark.end() :], err)


def _failed(options: ConnectionOptions, become: Become | None, out: bytes, err: bytes, why: str) -> HostUnreachable:
    """The reason in the operator's words, from what the host printed."""
    said = (err + out).decode("utf-8", "replace").replace(PROMPT, "").strip()
    if NO_PYTHON in said:
        return HostUnreachable(
            f"there is no Python on the host (tried {', '.join(options.interpreters)})",
            fix="install python3 (3.7 or later) there, or set ansible_python_interpreter",
        )
    words = {"user": options.user or "the login user", "become": become.user if become else ""}
    for sign, meaning in REFUSALS.items():
        if sign in said:
            what = meaning.format(**words)
            remedy = next((text for start, text in REMEDIES.items() if what.startswith(start)), None)
            return HostUnreachable(what, fix=remedy)
    return HostUnreachable(f"{why}; the host said: {said[-500:] or 'nothing'}")
