"""An SSH session with a host, by paramiko: jump hosts, keys, agents and passwords as OpenSSH has them."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import re
import socket
import threading
from collections.abc import Mapping
from typing import Any

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


class Hop:
    """A host on the way, the last one too: where and as whom ssh's settings have it, and paramiko's client for it.

    name: as in the inventory or in ProxyJump, also USER@HOST or HOST:PORT. user, port: before those of the settings.
    """

    def __init__(self, settings: paramiko.SSHConfig, name: str, user: str | None, port: int | None) -> None:
        login, _, place = name.rpartition("@")
        name, _, at = place.partition(":") if place.count(":") == 1 else (place, "", "")
        self.settings: Mapping[str, Any] = settings.lookup(name)
        self.host: str = self.settings.get("hostname", name)
        self.user: str = user or login or self.settings.get("user") or getpass.getuser()
        self.port = int(port or at or self.settings.get("port") or paramiko.config.SSH_PORT)
        self.client = paramiko.SSHClient()

    @property
    def transport(self) -> paramiko.Transport:
        """Of a client that has logged in."""
        transport = self.client.get_transport()
        if transport is None:
            raise EOFError
        return transport


class SSHSession:
    """A logged-in connection; `start(command)` opens a channel without a terminal."""

    def __init__(self, options: ConnectionOptions) -> None:
        """Connect. Raises HostUnreachable with the reason and the remedy."""
        self._options = options
        self._settings = ssh_config.load(options.ssh_settings)
        self._hops: list[Hop] = []
        self._target = self._hop(options.host, options.user, options.port)
        try:
            self._connect(self._jumps())
        except BaseException:
            self.close()  # half a way leaves neither a thread nor a socket behind
            raise

    def start(self, command: str) -> paramiko.Channel:
        """Run a command on the host; the channel's streams are binary and apart."""
        try:
            channel: paramiko.Channel = self._target.transport.open_session(timeout=self._options.timeout)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(f"cannot start a command on {self._options.name}: {_reason(error)}") from None
        return channel

    def close(self) -> None:
        """The hop next to us first: what goes through it then waits for nothing any more."""
        for hop in [*self._hops, self._target]:
            with contextlib.suppress(Exception):  # what matters is that the rest closes too
                hop.client.close()

    def _hop(self, name: str, user: str | None, port: int | None) -> Hop:
        return Hop(self._settings, name, user, port)

    def _jumps(self) -> list[Hop]:
        """The jump hosts in the order in which they are passed, first the one next to us."""
        jump = self._settings.lookup(self._options.host).get("proxyjump", "none")
        if jump.lower() == "none":
            return []
        return [self._hop(*_address(hop.strip())) for hop in jump.split(",")]

    def _connect(self, jumps: list[Hop]) -> None:
        before: Hop | None = None
        for hop in [*jumps, self._target]:
            if hop is not self._target:
                self._hops.append(hop)
            self._open(hop, before)
            before = hop

    def _open(self, hop: Hop, before: Hop | None) -> None:
        files = host_keys.known_hosts_files(hop.settings)
        known = [*files, host_keys.SYSTEM_KNOWN_HOSTS]
        revoked = host_keys.load(hop.client, known, hop.host, hop.port)
        hop.client.set_missing_host_key_policy(host_keys.HostKeyPolicy(files[0], self._options.accept_new, revoked))
        login = self._login(hop.settings, is_target=hop is self._target)
        try:
            with _turn_at(hop.host, hop.port):
                stream = self._socket(hop, before)
                with _logins:  # not while it is dialled: a dead host would keep others from theirs
                    hop.client.connect(hop.host, hop.port, hop.user, sock=stream, **login)
            hop.transport.sock.settimeout(IDLE_CHECK_S)
        except paramiko.BadHostKeyException as error:
            raise host_keys.changed_key(hop.host, error, files) from None
        except paramiko.PasswordRequiredException:
            raise HostUnreachable(
                "the private key for the login is encrypted", where=self._options.name,
                fix="add it to your ssh-agent once: ssh-add " + " ".join(login["key_filename"]),
            ) from None  # fmt: skip
        except paramiko.AuthenticationException as error:
            raise self._refused(hop, error) from None
        except (paramiko.SSHException, OSError, EOFError, IndexError) as error:  # IndexError: paramiko, at garbage
            raise self._unreachable(hop, error) from None

    def _login(self, settings: Mapping[str, Any], is_target: bool) -> dict[str, Any]:
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

    def _socket(self, hop: Hop, before: Hop | None) -> Any:
        """The stream to the next hop."""
        host, port = hop.host, hop.port
        if before is not None:
            return before.transport.open_channel("direct-tcpip", (host, port), ("", 0), timeout=self._options.timeout)
        command = hop.settings.get("proxycommand", "none")
        if command.lower() != "none":
            return _proxy(command, self._options.name)
        return PromptSocket(fileno=socket.create_connection((host, port), timeout=self._options.timeout).detach())

    def _refused(self, hop: Hop, error: Exception) -> HostUnreachable:
        tried = "password" if self._options.password else "key"
        if "Too many" in str(error):
            return HostUnreachable(
                f"{hop.host}:{hop.port} ended the login of {hop.user!r}: too many keys were tried",
                fix="name the right one (ansible_ssh_private_key_file), or set IdentitiesOnly in ~/.ssh/config",
            )
        return HostUnreachable(
            f"{hop.host}:{hop.port} refuses the login of {hop.user!r} by {tried} ({error})",
            fix="check ansible_user and ansible_ssh_private_key_file, your ssh-agent (ssh-add -l), "
            "or give a password with --ask-pass",
        )

    def _unreachable(self, hop: Hop, error: Exception) -> HostUnreachable:
        jump = "" if hop is self._target else " (a jump host)"
        return HostUnreachable(
            f"{hop.host}:{hop.port}{jump} cannot be reached: {_reason(error)}",
            fix=f"is it up, and is that its address? try: ssh -p {hop.port} {hop.user}@{hop.host}",
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
