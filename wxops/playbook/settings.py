"""What a project sets once instead of on every command line: wxops.toml, and what Ansible reads for that."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from wxops.errors import InputError, Origin, nearest
from wxops.playbook import ansible_settings

FILE = "wxops.toml"
OUTPUTS = ("live", "plain", "jsonl")
CHOICES = {"output": OUTPUTS, "gathering": ("implicit", "explicit", "smart"), "fact_caching": ("memory", "jsonfile")}


@dataclass(frozen=True, slots=True)
class Settings:
    """A project's defaults; a flag on the command line comes before each, then ANSIBLE_*, wxops.toml, ansible.cfg.

    inventory:           files, directories and `host1,host2,` lists, as -i takes them.
    forks:               hosts worked on at a time.
    remote_user:         the login when neither inventory nor ssh_config has one.
    private_key_file:    the SSH key when neither has one.
    ask_become_pass:     prompt for the sudo password.
    vault_password_file: a file with the vault password, or a script that prints it.
    roles_path:          where roles are looked for after those beside the playbook.
    collections_path:    where collections are looked for after those in collections/ beside it, for their roles.
    accept_new:          record the keys of hosts that are not in known_hosts (a changed key always stops the run).
    timeout:             seconds to wait for a host to answer.
    output:              live, plain or jsonl; None is live on a terminal and plain elsewhere.
    gathering:           implicit: each play asks its hosts for facts; explicit: only one that says gather_facts: true;
                         smart: only hosts whose facts are not known yet.
    fact_caching:        memory: facts last as long as a run; jsonfile: they are kept in files.
    fact_caching_connection: the directory of these files. fact_caching_prefix: how their names begin.
    fact_caching_timeout: seconds for which kept facts count; 0 is for ever.
    file:                the wxops.toml that was read, if any. Relative paths in it are beside it.
    notices:             what of Ansible's settings has no effect here.
    config_file:         the ansible.cfg that was read, if any.
    The others are Ansible's, under its names (docs/ansible.md), and are read from its places alone.
    """

    inventory: tuple[str, ...] = ()
    forks: int = 100
    remote_user: str | None = None
    private_key_file: str | None = None
    ask_become_pass: bool = False
    vault_password_file: str | None = None
    roles_path: tuple[str, ...] = ()
    collections_path: tuple[str, ...] = ()
    accept_new: bool = False
    timeout: float = 10.0
    output: str | None = None
    gathering: str = "implicit"
    fact_caching: str = "memory"
    fact_caching_connection: str | None = None
    fact_caching_timeout: float = 86400
    fact_caching_prefix: str = ""
    file: str | None = None
    notices: tuple[str, ...] = ()
    config_file: str | None = None
    remote_port: int | None = None
    connection: str | None = None
    ask_pass: bool = False
    connection_password_file: str | None = None
    become: bool = False
    become_method: str | None = None
    become_user: str | None = None
    become_password_file: str | None = None
    ask_vault_pass: bool = False
    vault_identity_list: tuple[str, ...] = ()
    vault_encrypt_identity: str | None = None
    force_handlers: bool = False
    error_on_missing_handler: bool = True
    strategy: str = "linear"
    managed: str | None = None
    no_log: bool = False
    diff: bool = False
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    verbosity: int = 0
    ssh_args: str | None = None
    ssh_common_args: str | None = None
    ssh_extra_args: str | None = None
    interpreter: str | None = None
    color: bool | None = None
    inject_facts_as_vars: bool = True
    private_role_vars: bool | None = None
    show_skipped: bool = True
    show_ok: bool = True
    failed_to_stderr: bool = False
    show_custom_stats: bool = False

    @classmethod
    def load(cls, start: str = ".") -> Settings:
        """The settings in the nearest wxops.toml, in `start` or above it, over those that Ansible would find."""
        try:
            path = _find(os.path.abspath(start))
        except FileNotFoundError:
            raise InputError("the working directory is gone", fix="change to one that exists") from None
        theirs = ansible_settings.load(os.environ, start)
        own = {**_read(path), "file": path} if path else {}
        found = {**theirs.of_file, **own, **theirs.of_environment}
        notices = list(theirs.notices)
        if found.get("accept_new") and "accept_new" not in own:
            notices.append("host_key_checking is off: keys of unknown hosts are recorded, a changed one stops the run")
        return cls(**found, notices=tuple(notices), config_file=theirs.file)


_ALL = [field.name for field in fields(Settings)]
NAMES = _ALL[: _ALL.index("file")]
"""What wxops.toml may say."""
_PATHS = ("private_key_file", "vault_password_file", "fact_caching_connection")
_PATH_LISTS = ("inventory", "roles_path", "collections_path")


def _find(directory: str) -> str | None:
    path = os.path.join(directory, FILE)
    if os.path.isfile(path):
        return path
    above = os.path.dirname(directory)
    return _find(above) if above != directory else None


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        written = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=path) from None
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(error, path) from None
    values = {name: _checked(name, value, _origin(name, text, path)) for name, value in written.items()}
    return _resolved(values, os.path.dirname(path))


def _checked(name: str, value: Any, at: Origin) -> Any:
    if name not in NAMES:
        raise InputError(f"there is no setting {name!r}", where=at, fix=nearest(name, NAMES))
    problem = _problem(name, value)
    if problem:
        raise InputError(f"{name} {problem}, not {value!r}", where=at)
    return value


def _problem(name: str, value: Any) -> str | None:
    """What the value should be, when it is something else."""
    if name in _PATH_LISTS:
        items = value if isinstance(value, list) else [value]
        named = all(isinstance(item, str) and item.strip() for item in items)
        return None if named else "is a path or a list of paths"
    if name in ("ask_become_pass", "accept_new"):
        return None if isinstance(value, bool) else "is true or false"
    if name == "forks":
        return None if type(value) is int and value > 0 else "is a whole number from 1 up"
    if name == "timeout":
        return None if type(value) in (int, float) and value > 0 else "is a number of seconds above 0"
    if name == "fact_caching_timeout":
        return None if type(value) in (int, float) and value >= 0 else "is a number of seconds, 0 or more"
    if name in CHOICES:
        return None if value in CHOICES[name] else f"is one of {', '.join(CHOICES[name])}"
    return None if isinstance(value, str) else "is text"


def _resolved(values: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Paths made absolute, lists made tuples."""
    resolved = dict(values)
    for name in _PATHS:
        if name in values:
            resolved[name] = _path(values[name], directory)
    for name in _PATH_LISTS:
        if name in values:
            items = values[name] if isinstance(values[name], list) else [values[name]]
            resolved[name] = tuple(_path(item, directory) for item in items)
    return resolved


def _path(written: str, directory: str) -> str:
    """`host1,host2,` is no path and stays as it is."""
    if "," in written:
        return written
    return os.path.normpath(os.path.join(directory, os.path.expanduser(written)))


def _origin(name: str, text: str, path: str) -> Origin:
    """The line on which a key is set, which tomllib does not tell."""
    key = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    lines = text.splitlines()
    return Origin(path, next((number for number, line in enumerate(lines, start=1) if key.match(line)), 0))


def _not_toml(error: tomllib.TOMLDecodeError, path: str) -> InputError:
    """tomllib puts the place at the end of its sentence."""
    place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
    where = Origin(path, int(place[1]), int(place[2])) if place else Origin(path)
    problem = str(error)[: place.start()] if place else str(error)
    return InputError(f"not valid TOML: {problem}", where=where, fix='write name = "value"')
