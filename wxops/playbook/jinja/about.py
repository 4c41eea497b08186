"""The variables that a template file finds about itself, under ansible-core's names."""

from __future__ import annotations

import time
from datetime import datetime
from os import uname
from pathlib import Path
from pwd import getpwuid
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.source import SourceStr

MANAGED = "Ansible managed"


def about_template(path: Path, src: str, dest: str, managed: str | None = None) -> dict[str, Any]:
    """src: the file as the task names it; dest: where its result goes; managed: as ansible.cfg says it."""
    state = path.stat()
    try:
        owner: str | int = getpwuid(state.st_uid).pw_name
    except KeyError:
        owner = state.st_uid
    return {
        "ansible_managed": _managed(managed or MANAGED, state.st_mtime),
        "template_host": uname().nodename,
        "template_path": src,
        "template_fullpath": str(path.absolute()),
        "template_destpath": dest,
        "template_uid": owner,
        "template_mtime": datetime.fromtimestamp(state.st_mtime),
        "template_run_date": datetime.now(),
    }


def _managed(text: str, modified: float) -> Any:
    """A template of its own: {file}, {host} and {uid} stand for variables, what begins with % for the file's time."""
    try:
        named = text.format(file="{{ template_path }}", host="{{ template_host }}", uid="{{ template_uid }}")
    except (LookupError, ValueError) as error:
        raise InputError(
            f"ansible_managed = {text} cannot be filled in: {type(error).__name__}: {error}",
            where="ansible.cfg",
            fix="only {file}, {host} and {uid} are known; write other braces twice",
        ) from None
    return SourceStr(time.strftime(named, time.localtime(modified)), Origin("ansible_managed in ansible.cfg"))
