"""Lookups of what the controller knows: variables, its environment, commands, settings, the inventory."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2.utils import missing

from wxops.errors import Origin, TemplateError, nearest
from wxops.playbook.inventory_graph import Graph, Group, Host
from wxops.playbook.jinja.convert import boolean
from wxops.playbook.jinja.undefined import Tripped, Undefined
from wxops.playbook.patterns import resolve, split
from wxops.playbook.source import SourceDict

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar

_NO_VARIABLES = SourceDict(Origin("the variable groups"))


def env(terms: list[Any], templar: Templar, *, default: Any = "") -> list[Any]:
    values = [os.environ.get(str(term), default) for term in terms]
    for value in values:
        if isinstance(value, Undefined):
            raise Tripped(value)
    return values


def variables(terms: list[Any], templar: Templar, *, default: Any = missing) -> list[Any]:
    """The variables of these names."""
    return [_variable(str(term), templar, default) for term in terms]


def _variable(name: str, templar: Templar, default: Any) -> Any:
    value = templar.resolve(name)
    if value is missing:
        value = Undefined(name=name) if default is missing else default
    if isinstance(value, Undefined):
        raise Tripped(value)
    return value


def varnames(terms: list[Any], templar: Templar) -> list[Any]:
    """The names of the variables that match a regular expression."""
    patterns = [_pattern(term) for term in terms]
    return [name for pattern in patterns for name in templar.names() if pattern.search(name)]


def _pattern(term: Any) -> re.Pattern[str]:
    if not isinstance(term, str):
        raise TypeError(f"Invalid setting identifier, {term!r} is no text but of type {type(term).__name__}")
    try:
        return re.compile(term)
    except re.error as error:
        raise ValueError(f"Unable to use {term!r} as a search parameter: {error}") from None


def pipe(terms: list[Any], templar: Templar) -> list[Any]:
    """What commands print, run by a shell on the controller in the playbook's directory."""
    return [_output(str(term), templar).rstrip() for term in terms]


def lines(terms: list[Any], templar: Templar) -> list[Any]:
    return [line for term in terms for line in _output(str(term), templar).splitlines()]


def _output(command: str, templar: Templar) -> str:
    folder = templar.search_path[-1] if templar.search_path else None
    done = subprocess.run(command, shell=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ValueError(f"`{command}` ended with {done.returncode}{f': {said[-300:]}' if said else ''}")
    return done.stdout.decode("utf-8", "surrogateescape")


# What a playbook may ask of ansible-core's settings, with their environment variables and defaults. wxops has settings
# of its own; these are here so that a playbook that reads them goes on under both.
_SETTINGS: dict[str, tuple[str, Any]] = {
    "DEFAULT_BECOME": ("ANSIBLE_BECOME", False),
    "DEFAULT_BECOME_METHOD": ("ANSIBLE_BECOME_METHOD", "sudo"),
    "DEFAULT_BECOME_USER": ("ANSIBLE_BECOME_USER", "root"),
    "DEFAULT_FORKS": ("ANSIBLE_FORKS", 5),
    "DEFAULT_PRIVATE_KEY_FILE": ("ANSIBLE_PRIVATE_KEY_FILE", None),
    "DEFAULT_PRIVATE_ROLE_VARS": ("ANSIBLE_PRIVATE_ROLE_VARS", False),
    "DEFAULT_REMOTE_USER": ("ANSIBLE_REMOTE_USER", None),
    "DEFAULT_TIMEOUT": ("ANSIBLE_TIMEOUT", 10),
    "HOST_KEY_CHECKING": ("ANSIBLE_HOST_KEY_CHECKING", True),
    "RETRY_FILES_ENABLED": ("ANSIBLE_RETRY_FILES_ENABLED", False),
}


def config(terms: list[Any], templar: Templar, *, on_missing: str = "error") -> list[Any]:
    """Settings by ansible-core's names: from its environment variables, else their defaults."""
    if on_missing not in ("error", "warn", "skip"):
        raise ValueError(f"on_missing must be error, warn or skip, not {on_missing!r}")
    unknown = [str(term) for term in terms if term not in _SETTINGS]
    if unknown and on_missing == "error":
        raise TemplateError(f"there is no setting {unknown[0]!r} here", fix=nearest(unknown[0], list(_SETTINGS)))
    return [_setting(*_SETTINGS[term]) for term in terms if term in _SETTINGS]


def _setting(variable: str, default: Any) -> Any:
    value = os.environ.get(variable)
    if value is None:
        return default
    return boolean(value) if isinstance(default, bool) else int(value) if isinstance(default, int) else value


def inventory_hostnames(terms: list[Any], templar: Templar) -> list[Any]:
    """The hosts that match patterns such as `web:&paris:!down`, by the variable `groups`."""
    groups = templar.resolve("groups")
    if groups is missing:
        raise ValueError("there is no variable 'groups' to look in")
    hosts = {name: Host(name, _NO_VARIABLES) for name in groups["all"]}
    known = {name: Group(name, _NO_VARIABLES, hosts=tuple(members)) for name, members in groups.items()}
    terms = [term for part in terms for term in split(str(part))]
    return [host.name for host in resolve(terms, Graph(hosts, known), lambda name: Host(name, _NO_VARIABLES))]


LOOKUPS: dict[str, Callable[..., list[Any]]] = {
    "config": config,
    "env": env,
    "inventory_hostnames": inventory_hostnames,
    "lines": lines,
    "pipe": pipe,
    "varnames": varnames,
    "vars": variables,
}
