"""This host as the fact collectors read it: text files below one root, commands, what is known so far, warnings.

A collector is a function that takes a `Host` and returns facts by their short names ("kernel", not
"ansible_kernel"). Reading through `root` lets a test show a collector any distribution as a directory.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List

LARGEST = 64 << 20
"""Bytes of a text; dpkg's status, the longest that is read, has a tenth of that."""
MORE_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/puppetlabs/bin"]  # that a user's PATH may lack


class Host:
    def __init__(self, root: str = "", timeout: float = 10, fact_path: str = "/etc/ansible/facts.d") -> None:
        self.root, self.timeout, self.fact_path = root, timeout, fact_path
        self.folders = dict.fromkeys(os.environ.get("PATH", os.defpath).split(":") + MORE_FOLDERS)
        self.facts: Dict[str, Any] = {}
        self.warnings: List[str] = []

    def read(self, path: str) -> str:
        """The stripped text of a file; "" when it is missing, unreadable or empty (sysfs files refuse at will).

        Root reads files of users here: a link to /dev/zero is no file, and one of gigabytes is read to LARGEST.
        """
        try:
            descriptor = os.open(self.root + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return ""
        parts, size = [], 0
        try:
            part = os.read(descriptor, 65536) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
            while part and size < LARGEST:
                parts.append(part)
                size += len(part)
                part = os.read(descriptor, 65536)
        except OSError:
            return ""
        finally:
            os.close(descriptor)
        return b"".join(parts).decode("utf-8", "replace").strip()

    def lines(self, path: str) -> List[str]:
        return self.read(path).splitlines()

    def exists(self, path: str) -> bool:
        return os.path.exists(self.root + path)

    def names(self, folder: str) -> List[str]:
        """What a directory holds, in the directory's own order; nothing when there is no such directory."""
        try:
            return os.listdir(self.root + folder)
        except OSError:
            return []

    def link(self, path: str) -> str:
        """Where a symbolic link points; "" when it is none."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return ""

    def command(self, name: str) -> str:
        """The path of an installed command, "" when there is none."""
        for folder in self.folders:
            path = self.root + folder + "/" + name
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
        return ""

    def output(self, *argv: str) -> str:
        """What a command prints in the C locale; "" when it fails. Raises ModuleFailure when it takes too long."""
        done = run(argv, environment={"LC_ALL": "C", "LANG": "C"}, timeout=self.timeout)
        return done.stdout if done.rc == 0 else ""

    def warn(self, text: str) -> None:
        self.warnings.append(text)
