"""An SSH session with a host, by fabric over paramiko: jump hosts, keys, agents and passwords as OpenSSH has them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import threading
from typing import Any

import fabric
import paramiko

from wxops.errors import HostUnreachable, InputError
from wxops.transport import host_keys, ssh_config
from wxops.transport.options import ConnectionOptions

# Paramiko's threads would print what they meet, with tracebacks, on the terminal; it reaches us as exceptions too.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

LOGINS_AT_ONCE = 30
"""More would make each slower than its timeout: a login is some 15 ms of the controller's one core."""
AT_A_HOP_AT_ONCE = 8
"""Beyond 10 that have not logged in yet sshd turns others away (MaxStartups 10:30:100): hosts share a jump host."""
IDLE_CHECK_S = 5.0
"""paramiko looks ten times a second whether an idle link is to be closed: with 500 hosts that is a core's work."""
QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
_logins = threading.BoundedSemaphore(LOGINS_AT_ONCE)
_hops: dict[tuple[str, int], threading.Semaphore] = {}


class PromptSocket(socket.socket):
    """A TCP connection on which small messages never wait 40 ms for each other.

    What is sent leaves at once. What arrives is acknowledged at once: after a login sshd says two things, and holds the
    second back until it knows that the first has arrived.
    """

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if QUICK_ACK is not None:  # the kernel forgets it each time that we send
            self.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        return data

    def close(self) -> None:
        """Whoever waits for it in another thread is woken: to close a descriptor does not."""
        with contextlib.suppress(OSError):  # the other end was quicker
            self.shutdown(socket.SHUT_RDWR)
        super().close()


class SSHSession:
    """A logged-in connection; `start(command)` opens a channel without a terminal."""

    def __init__(self, options: ConnectionOptions) -> None:
        """Connect. Raises HostUnreachable with the reason and the remedy."""
        self._options = options
        self._settings = ssh_config.load(options.ssh_settings)
        self._hops: list[fabric.Connection] = []
        self._connection = self._target()
        try:
            self._connect(self._connection, self._jumps())
        except BaseException:
            self.close()  # half a way leaves neither a thread nor a socket behind
            raise

    def start(self, command: str) -> paramiko.Channel:
        """Run a command on the host; the channel's streams are binary and apart."""
        try:
            channel: paramiko.Channel = self._connection.transport.open_session(timeout=self._options.timeout)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(f"cannot start a command on {self._options.name}: {_reason(error)}") from None
        return channel

    def close(self) -> None:
        """The hop next to us first: what goes through it then waits for nothing any more."""
        for connection in [*self._hops, self._connection]:
            for close in (connection.close, connection.client.close):  # fabric closes only what was opened to its end
                with contextlib.suppress(Exception):  # what matters is that the rest closes too
                    close()

    def _target(self) -> fabric.Connection:
        return self._make(self._options.host, self._options.user, self._options.port)

    def _make(self, host: str, user: str | None, port: int | None) -> fabric.Connection:
        """A fabric connection, not yet open. The way through jump hosts is ours: fabric takes them in reverse."""
        config = fabric.Config(ssh_config=self._settings, lazy=True)
        return fabric.Connection(host, user=user, port=port, config=config, gateway=False)

    def _jumps(self) -> list[fabric.Connection]:
        """The jump hosts in the order in which they are passed, first the one next to us."""
        jump = self._settings.lookup(self._options.host).get("proxyjump", "none")
        if jump.lower() == "none":
            return []
        return [self._make(*_address(hop.strip())) for hop in jump.split(",")]

    def _connect(self, target: fabric.Connection, jumps: list[fabric.Connection]) -> None:
        before: fabric.Connection | None = None
        for connection in [*jumps, target]:
            if connection is not target:
                self._hops.append(connection)
            self._open(connection, before, is_target=connection is target)
            before = connection

    def _open(self, connection: fabric.Connection, before: fabric.Connection | None, is_target: bool) -> None:
        settings = connection.ssh_config
        files = host_keys.known_hosts_files(settings)
        client = connection.client
        known = [*files, host_keys.SYSTEM_KNOWN_HOSTS]
        revoked = host_keys.load(client, known, connection.host, connection.port)
        client.set_missing_host_key_policy(host_keys.HostKeyPolicy(files[0], self._options.accept_new, revoked))
        connection.connect_timeout = None
        connection.connect_kwargs = self._login(settings, is_target)
        try:
            with _turn_at(connection.host, connection.port):
                connection.connect_kwargs["sock"] = self._socket(connection, before)
                with _logins:  # not while it is dialled: a dead host would keep others from theirs
                    connection.open()
            connection.transport.sock.settimeout(IDLE_CHECK_S)
        except paramiko.BadHostKeyException as error:
            raise host_keys.changed_key(connection.host, error, files) from None
        except paramiko.PasswordRequiredException:
            raise HostUnreachable(
                "the private key for the login is encrypted", where=self._options.name,
                fix="add it to your ssh-agent once: ssh-add " + " ".join(connection.connect_kwargs["key_filename"]),
            ) from None  # fmt: skip
        except paramiko.AuthenticationException as error:
            raise self._refused(connection, error) from None
        except (paramiko.SSHException, OSError, EOFError, IndexError) as error:  # IndexError: paramiko, at garbage
            raise self._unreachable(connection, error) from None

    def _login(self, settings: dict[str, Any], is_target: bool) -> dict[str, Any]:
        """How to log in: the key or password that was named, else what ssh would try."""
        options = self._options
        timeout = options.timeout
        login: dict[str, Any] = {"timeout": timeout, "banner_timeout": timeout, "auth_timeout": timeout,
                                 "channel_timeout": timeout}  # fmt: skip
        keys = [os.path.expanduser(file) for file in settings.get("identityfile", [])]
        if is_target and options.private_key:
            keys = [os.path.expanduser(options.private_key)]
        if is_target and options.password:
            login["password"] = options.password
        existing = [key for key in keys if os.path.exists(key)]
        if is_target and options.private_key and not existing:
            fix = "set ansible_ssh_private_key_file, or --private-key"
            raise HostUnreachable(f"the private key {options.private_key} does not exist", where=options.name, fix=fix)
        if existing:
            login["key_filename"] = existing
        login["transport_factory"] = _transport
        only = settings.get("identitiesonly", "no") == "yes" or bool(is_target and options.private_key)
        login["allow_agent"] = login["look_for_keys"] = not only
        return login

    def _socket(self, connection: fabric.Connection, before: fabric.Connection | None) -> Any:
        """The stream to the next hop."""
        host, port = connection.host, connection.port
        if before is not None:
            return before.transport.open_channel("direct-tcpip", (host, port), ("", 0), timeout=self._options.timeout)
        command = connection.ssh_config.get("proxycommand", "none")
        if command.lower() != "none":
            return _proxy(command, self._options.name)
        return PromptSocket(fileno=socket.create_connection((host, port), timeout=self._options.timeout).detach())

    def _refused(self, connection: fabric.Connection, error: Exception) -> HostUnreachable:
        tried = "password" if self._options.password else "key"
        if "Too many" in str(error):
            return HostUnreachable(
                f"{connection.host}:{connection.port} ended the login of {connection.user!r}: too many keys were tried",
                fix="name the right one (ansible_ssh_private_key_file), or set IdentitiesOnly in ~/.ssh/config",
            )
        return HostUnreachable(
            f"{connection.host}:{connection.port} refuses the login of {connection.user!r} by {tried} ({error})",
            fix="check ansible_user and ansible_ssh_private_key_file, your ssh-agent (ssh-add -l), "
            "or give a password with --ask-pass",
        )

    def _unreachable(self, connection: fabric.Connection, error: Exception) -> HostUnreachable:
        hop = "" if connection.original_host == self._options.host else " (a jump host)"
        return HostUnreachable(
            f"{connection.host}:{connection.port}{hop} cannot be reached: {_reason(error)}",
            fix=f"is it up, and is that its address? try: ssh -p {connection.port} {connection.user}@{connection.host}",
        )


def _turn_at(host: str, port: int) -> threading.Semaphore:
    """Whose turn it is to log in at a hop."""
    return _hops.setdefault((host, port), threading.Semaphore(AT_A_HOP_AT_ONCE))


def _proxy(command: str, name: str) -> paramiko.ProxyCommand:
    try:
        return paramiko.ProxyCommand(command)
    except (OSError, ValueError) as error:
        raise HostUnreachable(
            f"the ProxyCommand of {name} cannot be run: {_reason(error)}: {command}",
            fix="it is run without a shell: a program and its arguments",
        ) from None


def _address(hop: str) -> tuple[str, str | None, int | None]:
    """(host, user, port) of `[user@]host[:port]`, also with an IPv6 address in brackets."""
    user, _, place = hop.removeprefix("ssh://").rpartition("@")
    match = re.fullmatch(r"\[(?P<six>[^\]]+)\](?::(?P<sixport>\d+))?|(?P<host>[^:]+)(?::(?P<port>\d+))?", place)
    if match is None:
        raise InputError(f"ProxyJump {hop!r} is not understood", fix="[user@]host[:port], several with commas")
    port = match["port"] or match["sixport"]
    return match["host"] or match["six"], user or None, int(port) if port else None


def _transport(stream: Any, **options: Any) -> paramiko.Transport:
    """With AES-GCM as the first choice: every other cipher needs a second pass that authenticates each message."""
    transport = paramiko.Transport(stream, **options)
    security = transport.get_security_options()
    security.ciphers = sorted(security.ciphers, key=lambda name: not name.startswith("aes256-gcm"))
    return transport


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError):
        return "it closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
