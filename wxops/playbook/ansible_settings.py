"""ansible.cfg and ANSIBLE_* as settings of wxops, for scripts and projects that were written for ansible-playbook."""

from __future__ import annotations

import configparser
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.ansible_names import HARMLESS, HARMLESS_SECTIONS, NOTICED, REFUSED, USED, Used

FILE = "ansible.cfg"
GATHERING = ("implicit", "explicit", "smart")
YES, NO = ("1", "true", "yes", "on", "y", "t"), ("0", "false", "no", "off", "n", "f", "")


@dataclass(frozen=True)
class AnsibleSettings:
    """What Ansible's own configuration sets, by the names of `Settings`; notices say what had no effect.

    file: the ansible.cfg that was read, if any.
    """

    of_environment: Mapping[str, Any]
    of_file: Mapping[str, Any]
    notices: tuple[str, ...]
    file: str | None = None


def load(environment: Mapping[str, str], directory: str = ".") -> AnsibleSettings:
    """Read both. Raises InputError for a value that is none, and for a setting that changes what playbooks mean."""
    of_environment, told = {}, list(_environment_notices(environment))
    for known in USED:
        for name in known.env:
            if environment.get(name, "") != "":
                of_environment[known.field] = _value(known, environment[name], directory, Origin(name))
    for name, neutral in REFUSED.values():
        if name in environment and not _same(environment[name], neutral):
            raise _refused(name, environment[name], Origin(name))
    path, problem = _find(environment, directory)
    if problem:
        told.append(problem)
    of_file, more = _file(path) if path else ({}, [])
    return AnsibleSettings(of_environment, of_file, (*told, *more), path)


def _find(environment: Mapping[str, str], directory: str) -> tuple[str | None, str | None]:
    """The first that exists, in Ansible's order; one in a directory that everybody may write to does not count."""
    if environment.get("ANSIBLE_CONFIG"):
        named = os.path.abspath(os.path.expanduser(environment["ANSIBLE_CONFIG"]))
        named = os.path.join(named, FILE) if os.path.isdir(named) else named
        return (named, None) if os.path.isfile(named) else (None, f"ANSIBLE_CONFIG: there is no {named}")
    own, problem = os.path.abspath(os.path.join(directory, FILE)), None
    if os.path.isfile(own):
        if not os.stat(os.path.dirname(own)).st_mode & stat.S_IWOTH:
            return own, None
        problem = f"{own} is not read: everybody may write to its directory"
    home = environment.get("HOME") or os.path.expanduser("~")
    usual = (os.path.join(home, ".ansible.cfg"), "/etc/ansible/ansible.cfg")
    return next((path for path in usual if os.path.isfile(path)), None), problem


def _file(path: str) -> tuple[dict[str, Any], list[str]]:
    text, sections = _sections(path)
    directory = os.path.dirname(path)
    found: dict[str, Any] = {}
    for known in USED:
        written = sections.get(known.section, {}).get(known.key)
        if written:
            found[known.field] = _value(known, written, directory, _origin(known.key, text, path))
    for place, (_, neutral) in REFUSED.items():
        section, _, key = place.partition(".")
        written = sections.get(section, {}).get(key)
        if written is not None and not _same(written, neutral):
            raise _refused(f"[{section}] {key}", written, _origin(key, text, path))
    without = [f"[{section}] {key}" for section, key in _unused(sections)]
    return found, [f"{path}: not used by wxops: {', '.join(without)}"] if without else []


def _sections(path: str) -> tuple[str, dict[str, dict[str, str]]]:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",), strict=False)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        parser.read_string(text, path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=path) from None
    except configparser.Error as error:
        raise InputError(f"is no ansible.cfg: {str(error).splitlines()[0]}", where=path) from None
    return text, {section: dict(parser.items(section)) for section in parser.sections()}


def _unused(sections: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    used = {f"{known.section}.{known.key}" for known in USED}
    for section, values in sections.items():
        for key in values:
            place = f"{section}.{key}"
            if section not in HARMLESS_SECTIONS and place not in used | HARMLESS | REFUSED.keys():
                yield section, key


def _environment_notices(environment: Mapping[str, str]) -> Iterator[str]:
    for name, why in NOTICED.items():
        if environment.get(name) and (name, environment[name]) != ("ANSIBLE_STDOUT_CALLBACK", "default"):
            yield f"{name} has no effect: {why}"


def _value(known: Used, written: str, directory: str, at: Origin) -> Any:
    """Of the type that `Settings` has for it. Relative paths are beside ansible.cfg, else in the working directory."""
    text = written.strip().strip("\"'")
    match known.kind:
        case "path":
            return _path(text, directory)
        case "paths":
            return tuple(_path(each, directory) for each in text.split(":") if each)
        case "inventory":
            return _inventory(text, directory)
        case "list":
            return tuple(each.strip() for each in text.split(",") if each.strip())
        case "yes_no" | "no_yes":
            return _boolean(text, at) is (known.kind == "yes_no")
        case "whole" | "seconds":
            return _number(text, known.kind, at)
        case "gathering" if text not in GATHERING:
            raise InputError(f"gathering is one of {', '.join(GATHERING)}, not {text!r}", where=at)
    return text


def _inventory(text: str, directory: str) -> tuple[str, ...]:
    """Several paths with commas between them, or `host1,host2,`."""
    entries = [each.strip() for each in text.split(",") if each.strip()]
    if text.endswith(","):
        return (text,)
    return tuple(_path(each, directory) for each in entries)


def _path(written: str, directory: str) -> str:
    expanded = os.path.expanduser(os.path.expandvars(written.replace("{{CWD}}", os.getcwd())))
    return os.path.normpath(os.path.join(os.path.abspath(directory), expanded))


def _boolean(text: str, at: Origin) -> bool:
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise InputError(f"should be true or false, not {text!r}", where=at)


def _number(text: str, kind: str, at: Origin) -> float:
    try:
        return int(text) if kind == "whole" else float(text)
    except ValueError:
        raise InputError(f"should be a number, not {text!r}", where=at) from None


def _same(written: str, neutral: str) -> bool:
    text = written.strip().lower().removeprefix("ansible.builtin.")
    return text == neutral or (neutral in ("true", "false") and text in (YES if neutral == "true" else NO))


def _refused(name: str, value: str, at: Origin) -> InputError:
    return InputError(
        f"{name} = {value.strip()} would change what playbooks mean, and wxops does not have it",
        where=at,
        fix="say it in the playbook where it is needed, or take the setting out",
    )


def _origin(key: str, text: str, path: str) -> Origin:
    lines = text.splitlines()
    pattern = re.compile(rf"\s*{re.escape(key)}\s*[=:]", re.IGNORECASE)
    return Origin(path, next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 0))
