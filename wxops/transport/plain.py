"""A command line run by the login itself, without an agent: for a host that has no Python yet."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from wxops.errors import BecomeRefused, HostUnreachable
from wxops.transport.becoming import method_of
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.pipe import SSHPipe
from wxops.transport.ssh import SSHSession


@dataclass(frozen=True)
class Completed:
    """What a command returned. rc is -1 when the host did not say."""

    rc: int
    stdout: str
    stderr: str


def run_plain(options: ConnectionOptions, become: Become | None, command: str, shell: str) -> Completed:
    """Run a shell's command line on a connection of its own. Raises HostUnreachable."""
    words = [shell, "-c", command]
    session = SSHSession(options)
    try:
        pipe = SSHPipe(session, shlex.join(method_of(become).command(become, words) if become else words))
        return _listen(pipe, options, become)
    except OSError as error:
        raise HostUnreachable(f"the connection broke: {error}", where=options.name) from None
    finally:
        session.close()


def _listen(pipe: SSHPipe, options: ConnectionOptions, become: Become | None) -> Completed:
    """To its end, with the password given once, when it is asked for."""
    out, err, answered = b"", b"", False
    method = method_of(become)
    while True:
        pipe.wait(None)
        data, error = pipe.read(), pipe.read_error()
        out, err = out + (data or b""), err + (error or b"")
        if become is not None and not answered and (asked := method.prompt.search(err)):
            if become.password is None:
                what = method.wants_password.format(become=become.user, user=options.user)
                raise BecomeRefused(what, where=options.name)
            pipe.write(become.password.encode() + b"\n")
            answered, err = True, err[: asked.start()] + err[asked.end() :]
        if data == b"" and error is None:
            return Completed(pipe.exit_status(), out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
