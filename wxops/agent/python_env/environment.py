"""One Python with its packages: the host's own, or a virtual environment."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Packages = Dict[str, Dict[str, str]]
    """Name, in lower case with `-`, -> version, and path: of what describes it (NAME.dist-info)."""

LIST = """
import json, re, site, sysconfig
try:
    from importlib.metadata import distributions
    found = [(each.metadata["Name"], each.version, str(each._path)) for each in distributions()]
except ImportError:
    from pkg_resources import working_set
    found = [(each.project_name, each.version, each.egg_info or "") for each in working_set]
packages = {}
for name, version, path in found:
    packages.setdefault(re.sub("[-_.]+", "-", name or "").lower(), {"version": version, "path": path})
paths = sysconfig.get_paths()
folders = [paths["purelib"], paths["platlib"], paths["scripts"], *site.getsitepackages()]
print(json.dumps({"packages": packages, "folders": sorted({*folders, site.getusersitepackages()})}))
"""


class Environment:
    """python: the interpreter; pip: how its pip is called, None when it has none."""

    def __init__(self, python: str, pip: Optional[List[str]]) -> None:
        self.python, self._pip = python, pip

    @property
    def pip(self) -> List[str]:
        if self._pip is None:
            raise ModuleFailure("%s has no pip: install python3-pip, or make the environment with it" % self.python)
        return self._pip

    @property
    def has_pip(self) -> bool:
        return self._pip is not None

    def packages(self) -> Packages:
        found: Packages = self._asked()["packages"]
        return found

    def folders(self) -> List[str]:
        """Where packages and their programs are put."""
        return [path for path in self._asked()["folders"] if os.path.isdir(path)]

    def _asked(self) -> Dict[str, Any]:
        done = run([self.python, "-c", LIST])
        if done.rc != 0:
            raise ModuleFailure("%s does not say what it has: %s" % (self.python, done.stderr.strip()), **done.result())
        found: Dict[str, Any] = json.loads(done.stdout)
        return found


def of_virtualenv(path: str) -> Environment:
    programs = (os.path.join(path, "bin", name) for name in ("pip3", "pip"))
    pip = next((program for program in programs if os.access(program, os.X_OK)), None)
    return Environment(os.path.join(path, "bin", "python"), [pip] if pip else None)


def of_host(executable: Optional[str]) -> Environment:
    """By the pip that a task names, else that of the interpreter which runs the agent, else pip3."""
    if executable is None and run([sys.executable, "-c", "import pip"]).rc == 0:
        return Environment(sys.executable, [sys.executable, "-m", "pip"])
    pip = shutil.which(executable or "pip3")
    if pip is None and executable is not None:
        raise ModuleFailure("Unable to find any of %s to use.  pip needs to be installed." % executable)
    return Environment(_interpreter(pip) if pip else sys.executable, [pip] if pip else None)


def files_of(path: str) -> Optional[List[str]]:
    """The files that a package brought, by its RECORD (PEP 376); None when there is no such list."""
    try:
        with open(os.path.join(path, "RECORD"), encoding="utf-8", newline="") as file:
            listed = [row[0] for row in csv.reader(file) if row]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return sorted({os.path.normpath(os.path.join(os.path.dirname(path), name)) for name in listed})


def canonical(name: str) -> str:
    """As PEP 503 writes a package's name."""
    return re.sub("[-_.]+", "-", name).lower()


def _interpreter(pip: str) -> str:
    """The Python in the first line of a pip script."""
    with open(pip, "rb") as file:
        first = file.readline().decode("utf-8", "replace")
    words = first[2:].split() if first.startswith("#!") else []
    return words[0] if words and os.path.basename(words[0]) != "env" else sys.executable
