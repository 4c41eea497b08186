"""The way to a host as OpenSSH's ssh takes it: for programs that bring no SSH of their own, as rsync."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from wxops.transport.options import ConnectionOptions

OURS = ("stricthostkeychecking", "proxyjump")
"""Settings that are not passed on as they are."""


def ssh_command(options: ConnectionOptions, port: int | None = None, private_key: str | None = None) -> list[str]:
    """`ssh` with all that the connection knows; it asks for nothing, and an unknown host key stops it.

    port, private_key: instead of the connection's. Jump hosts are reached with its settings too, which ssh's own -J
    does not hand on to them.
    """
    port, key = port or options.port, private_key or options.private_key
    words = [*_common(options), *_settings({"Port": port} if port else {})]
    words += [*_settings({"IdentitiesOnly": "yes"}), "-i", os.path.expanduser(key)] if key else []
    jump = next((value for name, value in options.ssh_settings if name.lower() == "proxyjump"), "none")
    return words if jump.lower() == "none" else [*words, *_through(options, jump.split(","))]


def _common(options: ConnectionOptions) -> list[str]:
    check = "accept-new" if options.accept_new else "yes"
    words = ["ssh", *(word for name, value in options.ssh_settings if name == "ConfigFile" for word in ("-F", value))]
    own = {"BatchMode": "yes", "ControlPath": "none", "StrictHostKeyChecking": check,
           "ConnectTimeout": max(1, int(options.timeout))}  # fmt: skip
    rest = [(name, value) for name, value in options.ssh_settings if name != "ConfigFile" and name.lower() not in OURS]
    return [*words, *_settings(own), *(word for name, value in rest for word in ("-o", f"{name}={value}"))]


def _settings(values: dict[str, object]) -> list[str]:
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def _through(options: ConnectionOptions, hops: Sequence[str]) -> list[str]:
    """The last hop hands the connection on; it is itself reached through those before it."""
    before = _through(options, hops[:-1]) if hops[1:] else []
    user, _, place = hops[-1].strip().removeprefix("ssh://").rpartition("@")
    host, _, port = place.rpartition(":") if place.count(":") == 1 or "]:" in place else (place, "", "")
    words = [*_common(options), *(["-l", user] if user else []), *(["-p", port] if port else []), *before]
    command = shlex.join([*(word.replace("%", "%%") for word in words), "-W", "[%h]:%p", "--", host.strip("[]")])
    return _settings({"ProxyCommand": command})
