"""How a host is to be reached, read from its inventory variables and the flags of the run."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxops.errors import InputError

SSH_ARGUMENTS = ("ssh_args", "ssh_common_args", "ssh_extra_args")
AUTOMATIC = (None, "auto", "auto_silent", "auto_legacy", "auto_legacy_silent")
NUMBERS = {"port": "ansible_port", "timeout": "ansible_timeout", "keepalive": "wxops_keepalive"}
LAST_PORT = 65535
INTERPRETERS = (
    "python3", "/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3",
    *(f"python3.{minor}" for minor in range(14, 6, -1)),
)  # fmt: skip
"""Where a Python is looked for, in this order, unless ansible_python_interpreter names one."""


@dataclass(frozen=True)
class Become:
    """Whose rights the agent takes on the host. method: how, a name of `becoming.METHODS`.

    flags, exe: the method's own unless they are said; exe may be several words.
    """

    user: str = "root"
    method: str = "sudo"
    password: str | None = field(default=None, repr=False)
    flags: str | None = None
    exe: str | None = None


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
    """Options from Ansible's `ansible_*` variables; `defaults` are those of flags and settings.

    Of those, interpreter, ssh_args, ssh_common_args and ssh_extra_args are what the variables of those names would be.
    """

    def first(*keys: str) -> Any:
        return next((variables[key] for key in keys if variables.get(key) not in (None, "")), None)

    flag = {key: defaults.pop(key, None) for key in ("connection", "interpreter", *SSH_ARGUMENTS)}
    connection = first("ansible_connection") or flag["connection"] or "ssh"
    if connection in ("paramiko", "paramiko_ssh", "smart"):
        connection = "ssh"
    if connection not in ("ssh", "local"):
        raise InputError(f"ansible_connection {connection!r} of {name} is not known", fix="ssh or local")
    interpreter = first("ansible_python_interpreter") or flag["interpreter"]
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
    found.update({key: _number(name, key, value) for key, value in found.items() if key in NUMBERS})
    written = (variables.get(f"ansible_{key}") or flag[key] for key in SSH_ARGUMENTS)
    settings = ssh_settings(" ".join(str(value) for value in written if value), name)
    if dict(settings).get("StrictHostKeyChecking", "").lower() in ("no", "off", "accept-new"):
        defaults["accept_new"] = True  # also then a changed key stops the run
    return ConnectionOptions(
        name=name,
        connection=connection,
        ssh_settings=settings,
        interpreters=INTERPRETERS if interpreter in AUTOMATIC else (str(interpreter),),
        **{**{key: value for key, value in defaults.items() if value is not None}, **found},
    )


def _number(name: str, key: str, value: Any) -> float:
    """A port, or seconds above 0. Raises InputError, which fails this host alone."""
    wanted = f"a whole number from 1 to {LAST_PORT}" if key == "port" else "a number of seconds above 0"
    try:
        number = int(value) if key == "port" else float(value)
    except (TypeError, ValueError):
        number = 0
    if not 0 < number <= (LAST_PORT if key == "port" else threading.TIMEOUT_MAX):
        raise InputError(f"{NUMBERS[key]} of {name} is {wanted}, not {value!r}")
    return number


def _words(arguments: str, name: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise InputError(
            f"the SSH arguments of {name} cannot be taken apart: {str(error).lower()}: {arguments}"
        ) from None


def ssh_settings(arguments: str, name: str) -> tuple[tuple[str, str], ...]:
    """The settings in arguments of ssh: -o Key=value, -J hop, -i file, -F file, -p port, -l user."""
    words, settings = _words(arguments, name), []
    letters = {"-J": "ProxyJump", "-i": "IdentityFile", "-p": "Port", "-l": "User", "-F": "ConfigFile"}
    while words:
        word = words.pop(0)
        flag, value = (word[:2], word[2:]) if word[:2] in {*letters, "-o"} else (word, "")
        if flag in ("-C", "-q", "-4", "-6", "-A"):
            continue
        if flag not in letters and flag != "-o":
            fix = "-o Key=value, -J, -i, -F, -p and -l are; put the rest into ~/.ssh/config"
            raise InputError(f"the SSH arguments of {name}: {word!r} is not understood", fix=fix)
        value = value or (words.pop(0) if words else "")
        key, _, text = value.replace("=", " ", 1).partition(" ") if flag == "-o" else (letters[flag], "", value)
        text = text.strip().strip('"')
        settings.append((key, str(_number(name, "port", text)) if key.lower() == "port" else text))
    return tuple(settings)
