"""Python environments of a host, a container or an image: directories of packages, found within bounds.

Only where environments usually are, few levels deep, never in a file system that may hang, and for a limited time: a
home directory may hold millions of files.
"""

from __future__ import annotations

import glob
import os
import re
import time
from typing import TYPE_CHECKING

from wxops.agent.facts.mounts import LOCAL

if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Sequence

    from wxops.agent.facts.host import Host

SYSTEM = ("/usr/lib/python3/dist-packages", "/usr/lib/python3.*/site-packages", "/usr/lib64/python3.*/site-packages",
          "/usr/local/lib/python3.*/dist-packages", "/usr/local/lib/python3.*/site-packages",
          "/usr/local/lib64/python3.*/site-packages", "/root/.local/lib/python3.*/site-packages",
          "/home/*/.local/lib/python3.*/site-packages")  # fmt: skip
WITHIN = ("/lib/python3.*/site-packages", "/lib64/python3.*/site-packages", "/lib/python3.*/dist-packages")
"""Below an environment (venv, conda), or a Python that was installed in a place of its own."""
BASES = ("/opt", "/srv", "/root", "/home", "/data", "/workspace", "/app", "/mnt", "/venv", "/usr/local", "/var/lib")
DEPTHS = {"/home": 4, "/opt": 4, "/srv": 3, "/var/lib": 2, "/usr/local": 2}
DEPTH = 3
CONDA = "environments.txt"  # in ~/.conda, every environment that conda made
NEVER = frozenset(["proc", "sys", "dev", "node_modules", ".git", "docker", "containerd", "containers", "__pycache__",
                   "site-packages", "dpkg", "apt", "wxops", "lib", "lib64", "bin", "include", "share"])  # fmt: skip
MOST_ENTRIES = 5000
SECONDS = 1.0


class Search:
    """One search; `cut_short` says why it may have missed some."""

    def __init__(self, host: Host, mounts: Sequence[str], seconds: float = SECONDS) -> None:
        """mounts: the lines of /proc/PID/mounts that hold below the host's root."""
        self._host = host
        kinds: Dict[str, str] = {line.split()[1]: line.split()[2] for line in mounts}
        self._foreign = tuple(mount + "/" for mount, kind in kinds.items() if kind not in LOCAL and mount != "/")
        self._end = time.monotonic() + seconds
        self._entries = 0
        self.cut_short = ""

    def site_packages(self, named: Sequence[str] = ()) -> List[str]:
        """Their paths, those of the system first. named: environments that were asked for."""
        found = dict.fromkeys(path for pattern in SYSTEM for path in self._glob(pattern))
        for folder in [*(path.rstrip("/") for path in named), *self._of_conda(), *self._environments()]:
            found.update(dict.fromkeys(path for end in WITHIN for path in self._glob(glob.escape(folder) + end)))
        return self._each_once(list(found))

    def _each_once(self, paths: List[str]) -> List[str]:
        """/usr/lib64 and others may be links."""
        places: Dict[str, str] = {}
        for path in paths:
            places.setdefault(os.path.realpath(self._host.root + path), path)
        return list(places.values())

    def _glob(self, pattern: str) -> List[str]:
        if pattern.startswith(self._foreign):
            return []
        root = self._host.root
        return sorted(path[len(root) :] for path in glob.iglob(glob.escape(root) + pattern))

    def _of_conda(self) -> Iterator[str]:
        for home in ["/root", *("/home/" + name for name in self._host.names("/home"))]:
            yield from self._host.lines("%s/.conda/%s" % (home, CONDA))

    def _environments(self) -> Iterator[str]:
        """Directories with a Python's library in them, in usual places."""
        level = [(base, DEPTHS.get(base, DEPTH)) for base in BASES if self._host.exists(base)]
        while level:  # breadth first: what lies deep is the first to be missed
            below = []
            for folder, depth in level:
                names = self._folders(folder)
                if names & {"lib", "lib64"}:
                    yield folder
                if depth:
                    below += [(folder + "/" + name, depth - 1) for name in sorted(names - NEVER)]
            level = below

    def _folders(self, folder: str) -> frozenset[str]:
        if self.cut_short or (folder + "/").startswith(self._foreign):
            return frozenset()
        names = set()
        try:
            with os.scandir(self._host.root + folder) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES or time.monotonic() > self._end:
                        self.cut_short = "the search for Python environments ended in %s" % folder
                        break
                    if entry.is_dir(follow_symlinks=False):
                        names.add(entry.name)
        except OSError:
            return frozenset()  # not a directory, or not ours to look into
        return frozenset(names)


def python_of(site: str) -> str:
    """3.11 of .../python3.11/site-packages; "" for Debian's python3/dist-packages."""
    found = re.search(r"/python(3\.\d+)/", site)
    return found.group(1) if found else ""


def prefix_of(host: Host, site: str) -> str:
    """The environment that a directory of packages belongs to; the directory itself where it is the system's."""
    prefix = re.sub(r"/lib(64)?/python3[^/]*/(site|dist)-packages$", "", site)
    own = host.exists(prefix + "/pyvenv.cfg") or host.exists(prefix + "/conda-meta")
    return prefix if own else site
