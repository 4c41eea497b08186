"""How a host is to be reached, read from its inventory variables and the flags of the run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxops.errors import InputError

INTERPRETERS = ("python3", "/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")


@dataclass(frozen=True)
class Become:
    """Whose rights the agent takes on the host. `method` is how."""

    user: str = "root"
    method: str = "sudo"
    password: str | None = field(default=None, repr=False)
    flags: str = "-H"


@dataclass(frozen=True)
class ConnectionOptions:
    """Everything that is needed to reach one host and start its agent.

    timeout: seconds for each hop to answer. keepalive: seconds of silence after which the host is asked whether it
    lives; after three such it is unreachable.
    """

    name: str
    host: str
    user: str | None = None
    port: int | None = None
    connection: str = "ssh"
    password: str | None = field(default=None, repr=False)
    private_key: str | None = None
    ssh_settings: tuple[tuple[str, str], ...] = ()
    interpreters: tuple[str, ...] = INTERPRETERS
    timeout: float = 10.0
    keepalive: float = 15.0
    accept_new: bool = False


def connection_options(name: str, variables: Mapping[str, Any], **defaults: Any) -> ConnectionOptions:
    """Options from Ansible's `ansible_*` variables; `defaults` are those of flags and wxops.toml."""

    def first(*keys: str) -> Any:
        return next((variables[key] for key in keys if variables.get(key) not in (None, "")), None)

    connection = first("ansible_connection") or defaults.pop("connection", None) or "ssh"
    if connection in ("paramiko", "paramiko_ssh", "smart"):
        connection = "ssh"
    if connection not in ("ssh", "local"):
        raise InputError(f"ansible_connection {connection!r} of {name} is not known", fix="ssh or local")
    interpreter = first("ansible_python_interpreter")
    found: dict[str, Any] = {
        "host": first("ansible_host", "ansible_ssh_host") or name,
        "user": first("ansible_user", "ansible_ssh_user"),
        "port": first("ansible_port", "ansible_ssh_port"),
        "password": first("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
        "private_key": first("ansible_ssh_private_key_file", "ansible_private_key_file"),
        "timeout": first("ansible_timeout", "ansible_ssh_timeout"),
        "keepalive": first("wxops_keepalive"),
    }
    found = {key: value for key, value in found.items() if value is not None}
    if "port" in found:
        found["port"] = int(found["port"])
    for seconds in ("timeout", "keepalive"):
        if seconds in found:
            found[seconds] = float(found[seconds])
    arguments = " ".join(str(value) for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args")
                         if (value := variables.get(key)))  # fmt: skip
    return ConnectionOptions(
        name=name,
        connection=connection,
        ssh_settings=ssh_settings(arguments, name),
        interpreters=INTERPRETERS if interpreter in (None, "auto", "auto_silent") else (str(interpreter),),
        **{**{key: value for key, value in defaults.items() if value is not None}, **found},
    )


def ssh_settings(arguments: str, name: str) -> tuple[tuple[str, str], ...]:
    """The settings in `ansible_ssh_common_args`: -o Key=value, -J hop, -i file, -F file, -p port, -l user."""
    words, settings = shlex.split(arguments), []
    letters = {"-J": "ProxyJump", "-i": "IdentityFile", "-p": "Port", "-l": "User", "-F": "ConfigFile"}
    while words:
        word = words.pop(0)
        flag, value = (word[:2], word[2:]) if word[:2] in {*letters, "-o"} else (word, "")
        if flag in ("-C", "-q", "-4", "-6", "-A"):
            continue
        if flag not in letters and flag != "-o":
            fix = "-o Key=value, -J, -i, -F, -p and -l are; put the rest into ~/.ssh/config"
            raise InputError(f"ansible_ssh_common_args of {name}: {word!r} is not understood", fix=fix)
        value = value or (words.pop(0) if words else "")
        key, _, text = value.replace("=", " ", 1).partition(" ") if flag == "-o" else (letters[flag], "", value)
        settings.append((key, text.strip().strip('"')))
    return tuple(settings)
