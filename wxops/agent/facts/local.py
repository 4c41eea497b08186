"""The operator's own facts, /etc/ansible/facts.d/NAME.fact: JSON, INI, or a program that prints one of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def local(host: Host) -> Dict[str, Any]:
    """By the name of each file. One that cannot be read says why in the place of its facts, and in a warning."""
    facts: Dict[str, Any] = {}
    for name in sorted(host.names(host.fact_path)):
        if name.endswith(".fact") and not name.startswith("."):
            path = host.root + os.path.join(host.fact_path, name)
            try:
                facts[name[: -len(".fact")]] = _parsed(path, _text(path))
            except (OSError, UnicodeDecodeError, ModuleFailure) as error:
                said = (
                    str(error) if isinstance(error, ModuleFailure) else "error loading facts (%s): %s" % (path, error)
                )
                facts[name[: -len(".fact")]] = said
                host.warn("local fact %s: %s" % (path, said))
    return {"local": facts}


def _text(path: str) -> str:
    """What the file holds, or prints when its owner may run it. How long that takes is its author's business."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise ModuleFailure("Could not stat fact (%s): %s" % (path, error)) from None
    if mode & 0o100:
        done = run([path])
        if done.rc != 0:
            raise ModuleFailure("Failure executing fact script (%s), rc: %d, err: %s" % (path, done.rc, done.stderr))
        return done.stdout
    with open(path, encoding="utf-8") as file:
        return file.read()


def _parsed(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    import configparser

    sections = configparser.ConfigParser()
    try:
        sections.read_string(text)
    except configparser.Error as error:
        raise ModuleFailure("error loading facts as JSON or ini: %s: %s" % (path, _first_line(error))) from None
    try:
        return {name: dict(sections.items(name)) for name in sections.sections()}
    except configparser.Error as error:
        raise ModuleFailure("error loading facts as ini: %s: %s" % (path, _first_line(error))) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
