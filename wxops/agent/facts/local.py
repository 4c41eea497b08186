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
                facts[name[: -len(".fact")]] = "%s: %s" % (path, error)
                host.warn("local fact %s: %s" % (path, error))
    return {"local": facts}


def _text(path: str) -> str:
    """What the file holds, or prints when its owner may run it. How long that takes is its author's business."""
    if os.stat(path).st_mode & 0o100:
        done = run([path])
        if done.rc != 0:
            raise ModuleFailure("ended with %d: %s" % (done.rc, done.stderr.strip() or "it printed no error"))
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
        return {name: dict(sections.items(name)) for name in sections.sections()}
    except configparser.Error as error:
        raise ModuleFailure("is neither JSON nor INI: %s" % str(error).splitlines()[0]) from None
