"""The variables that a template file finds about itself, under ansible-core's names."""

from __future__ import annotations

from datetime import datetime
from os import uname
from pathlib import Path
from pwd import getpwuid
from typing import Any


def about_template(path: Path, src: str, dest: str) -> dict[str, Any]:
    """src: the file as the task names it; dest: where its result goes."""
    state = path.stat()
    try:
        owner: str | int = getpwuid(state.st_uid).pw_name
    except KeyError:
        owner = state.st_uid
    return {
        "ansible_managed": "Ansible managed",
        "template_host": uname().nodename,
        "template_path": src,
        "template_fullpath": str(path.absolute()),
        "template_destpath": dest,
        "template_uid": owner,
        "template_mtime": datetime.fromtimestamp(state.st_mtime),
        "template_run_date": datetime.now(),
    }
