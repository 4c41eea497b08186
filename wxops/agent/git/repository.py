"""A checkout on the host, or a bare repository: where its git directory is, and what is checked out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.git.command import Git

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

UNTRACKED = "??"
NO_GIT_DIR = "Current repo does not have a valid reference to a separate Git dir or it refers to the invalid path"


class Repository:
    """path: the work tree, or the bare repository itself."""

    def __init__(self, path: str, git: Optional[Git] = None) -> None:
        self.path = path
        self._git = git

    @property
    def git(self) -> Git:
        if self._git is None:
            self._git = Git()
        return self._git

    @property
    def git_dir(self) -> str:
        """`.git`, or where the file of that name points; the path itself when it is bare."""
        place = os.path.join(self.path, ".git")
        if os.path.isfile(place):
            with open(place, encoding="utf-8") as file:
                before, found, target = file.read().rstrip().partition("gitdir: ")
            path = os.path.join(self.path, target)
            if before or not found or not os.path.isdir(path):
                raise ModuleFailure(NO_GIT_DIR, details="%s is not a directory" % path)
            return os.path.realpath(path)
        return self.path if not os.path.exists(place) and self._looks_bare() else place

    @property
    def is_bare(self) -> bool:
        return self.git_dir == self.path

    def exists(self) -> bool:
        return os.path.exists(os.path.join(self.git_dir, "config"))

    def state(self) -> Dict[str, Any]:
        """As the kind git_checkout has it."""
        if not self.exists():
            return {"exists": False}
        heads = self.refs("refs/heads")
        return {"exists": True, "head": self.commit("HEAD"), "branch": self.branch(), "heads": heads,
                "modified": self.modified()}  # fmt: skip

    def commit(self, version: str) -> Optional[str]:
        """The commit that a version is here; None when it is unknown here."""
        found = self._lines("rev-parse", "--verify", "--quiet", version + "^{commit}")
        return found[0] if found else None

    def branch(self) -> Optional[str]:
        """The branch that is checked out; None when HEAD is detached."""
        found = self._lines("symbolic-ref", "--quiet", "--short", "HEAD")
        return found[0] if found else None

    def refs(self, below: str) -> Dict[str, str]:
        """Name, without what it is below, -> object."""
        pairs = (line.split(" ", 1) for line in self._lines("for-each-ref", "--format=%(objectname) %(refname)", below))
        return {name[len(below) + 1 :]: commit for commit, name in pairs}

    def modified(self) -> List[str]:
        """Tracked files that are not as HEAD has them. With -z a rename has a second field: where it was."""
        if self.is_bare:
            return []
        found, fields = [], iter(self._lines("status", "--porcelain", "--ignore-submodules=none", "-z"))
        for field in fields:
            if field.startswith(UNTRACKED):
                continue
            found.append(field[3:])
            if field[0] in "RC":
                found.append(next(fields, ""))
        return sorted(found)

    def remote_url(self, remote: str) -> str:
        return "".join(self._lines("config", "--get", "remote.%s.url" % remote)[-1:])

    def submodules(self) -> List[str]:
        """The paths of submodules that HEAD has."""
        listed = self._lines("config", "--file", ".gitmodules", "--get-regexp", r"\.path$")
        return [line.split(" ", 1)[1] for line in listed if " " in line]

    def changed_paths(self, commit: str) -> List[str]:
        """What lies between HEAD and a commit."""
        return self._lines("diff", "--name-only", "--no-renames", "-z", "HEAD", commit)

    def _looks_bare(self) -> bool:
        return all(os.path.exists(os.path.join(self.path, name)) for name in ("HEAD", "objects", "refs"))

    def _lines(self, *words: str) -> List[str]:
        return self.git.lines(*words, cwd=self.path)
