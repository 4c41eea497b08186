"""OpenSSH's client settings for a host: from its variables first, then ~/.ssh/config, then /etc/ssh/ssh_config."""

from __future__ import annotations

import functools
import glob
import os
from pathlib import Path

import paramiko

from wxops.errors import InputError

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
INCLUDE_DEPTH = 16  # as OpenSSH's own limit


def load(settings: tuple[tuple[str, str], ...]) -> paramiko.SSHConfig:
    """All settings in OpenSSH's order: the first value found for a key wins."""
    own = dict(settings)
    files = [Path(own.pop("ConfigFile"))] if "ConfigFile" in own else [USER_CONFIG, SYSTEM_CONFIG]
    lines = [line for file in files for line in _lines(file.expanduser())]
    text = "\n".join(["Host *", *(f"{key} {value}" for key, value in own.items()), *lines])
    try:
        return _parsed(text)
    except paramiko.ssh_exception.ConfigParseError as error:
        raise InputError(
            f"the SSH client configuration cannot be read: {error}", where=", ".join(map(str, files))
        ) from None


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> paramiko.SSHConfig:
    """Once for all hosts that are reached by the same settings: paramiko only reads in it."""
    return paramiko.SSHConfig.from_text(text)


def _lines(file: Path, depth: int = 0) -> list[str]:
    """The file's lines with Include followed (paramiko does not); OpenSSH's `Host *` scope starts anew in each file."""
    if depth > INCLUDE_DEPTH or not file.is_file():
        return []
    scope = "Host *"
    lines = [scope] if depth == 0 else []
    for line in file.read_text(errors="replace").splitlines():
        words = line.replace("=", " ", 1).split()
        if words and words[0].lower() == "include":
            for pattern in words[1:]:
                base = "/etc/ssh" if str(file).startswith("/etc/") else os.path.expanduser("~/.ssh")
                for found in sorted(glob.glob(os.path.join(base, os.path.expanduser(pattern)))):
                    lines.extend(_lines(Path(found), depth + 1))
            lines.append(scope)  # what the included files spoke of last does not reach beyond them
        else:
            if words and words[0].lower() in ("host", "match"):
                scope = line
            lines.append(line)
    return lines
