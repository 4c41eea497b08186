"""The byte streams of a command that runs elsewhere: over SSH or on this machine, the same few methods."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from abc import ABC, abstractmethod

import paramiko

from wxops.errors import HostUnreachable
from wxops.transport.ssh import SSHSession

CHUNK = 64 * 1024
PACKET = 32 * 1024 - 64
"""What paramiko puts into one packet for OpenSSH. Whatever is sent in other pieces ends in small packets, and those
cost as much as full ones.
"""
ENDING_S = 5.0
"""How long a command on this machine may take to end once its input has."""


class Pipe(ABC):
    """Standard input, output and error of a command. Reads return b"" at the end of a stream."""

    @abstractmethod
    def wait(self, seconds: float | None) -> bool:
        """Until something can be read; False when `seconds` have passed."""

    @abstractmethod
    def read(self) -> bytes | None:
        """What has arrived of its output; None when nothing has."""

    @abstractmethod
    def read_error(self) -> bytes | None:
        """What has arrived of its standard error; None when nothing has."""

    @abstractmethod
    def write_some(self, data: memoryview) -> int:
        """To its standard input, at most 64 KiB. How many bytes it took. Raises OSError when it is gone."""

    def write(self, data: bytes) -> None:
        """All of it."""
        view = memoryview(data)
        while view:
            view = view[self.write_some(view) :]

    @abstractmethod
    def close(self) -> None:
        """End the command's streams, and what carried them."""


class SSHPipe(Pipe):
    """A command on a host."""

    def __init__(self, session: SSHSession, command: str) -> None:
        self._session = session
        self._channel: paramiko.Channel = session.start(command)
        self._poll = select.poll()
        self._poll.register(self._channel.fileno(), select.POLLIN)

    def wait(self, seconds: float | None) -> bool:
        return bool(self._poll.poll(None if seconds is None else max(0, int(seconds * 1000))))

    def read(self) -> bytes | None:
        if self._channel.recv_ready():
            return self._channel.recv(CHUNK)
        return b"" if self._channel.eof_received or self._channel.closed else None

    def read_error(self) -> bytes | None:
        return self._channel.recv_stderr(CHUNK) if self._channel.recv_stderr_ready() else None

    def write_some(self, data: memoryview) -> int:
        return self._channel.send(bytes(data[:PACKET]))

    def exit_status(self) -> int:
        """What the command ended with; -1 when the host does not say."""
        return self._channel.recv_exit_status()

    def close(self) -> None:
        """With the connection, and without a word: on a link that is full that word would wait for room."""
        self._session.close()


class LocalPipe(Pipe):
    """A command on this machine (`connection: local`)."""

    def __init__(self, argv: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise HostUnreachable(f"{argv[0]} is not installed on this machine", where="connection local") from None
        self._poll = select.poll()
        self._open = {stream.fileno() for stream in (self._process.stdout, self._process.stderr) if stream}
        for descriptor in self._open:
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def wait(self, seconds: float | None) -> bool:
        return not self._open or bool(self._poll.poll(None if seconds is None else max(0, int(seconds * 1000))))

    def read(self) -> bytes | None:
        return self._take(self._process.stdout.fileno()) if self._process.stdout else b""

    def read_error(self) -> bytes | None:
        return (self._take(self._process.stderr.fileno()) or None) if self._process.stderr else None

    def _take(self, descriptor: int) -> bytes | None:
        if descriptor not in self._open:
            return b""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return None
        if not data:
            self._open.discard(descriptor)
            self._poll.unregister(descriptor)
        return data

    def write_some(self, data: memoryview) -> int:
        if self._process.stdin is None:
            raise BrokenPipeError
        try:
            return self._process.stdin.write(data[:CHUNK]) or 0
        except ValueError:  # closed meanwhile
            raise BrokenPipeError from None

    def close(self) -> None:
        """End the command. Its outputs then end too, which is how a thread that waits for them gets to know.

        They are closed with this object: whoever still waited would be left with another file's descriptor.
        """
        if self._process.stdin:
            with contextlib.suppress(OSError):  # it did not take everything
                self._process.stdin.close()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
