"""What a remote repository has: its branches, tags and HEAD, asked for in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, Optional

    from wxops.agent.git.command import Git

DEREFERENCED = "^{}"


class Remote:
    """branches and tags: name -> commit; head: the commit of its HEAD; head_branch: the branch that HEAD is."""

    def __init__(self, git: Git, url: str, cwd: Optional[str] = None) -> None:
        self.branches: Dict[str, str] = {}
        self.tags: Dict[str, str] = {}
        self.head = self.head_branch = ""
        for line in git.do("ls-remote", "--symref", "--", url, cwd=cwd).splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: refs/heads/") and name == "HEAD":
                self.head_branch = value[len("ref: refs/heads/") :]
            elif name == "HEAD":
                self.head = value
            elif name.startswith("refs/heads/"):
                self.branches[name[len("refs/heads/") :]] = value
            elif name.startswith("refs/tags/"):
                self._add_tag(name[len("refs/tags/") :], value)

    def _add_tag(self, name: str, commit: str) -> None:
        """An annotated tag is listed twice, the second time with its commit."""
        if name.endswith(DEREFERENCED):
            self.tags[name[: -len(DEREFERENCED)]] = commit
        else:
            self.tags.setdefault(name, commit)

    def branch_of(self, version: str, current: Optional[str]) -> Optional[str]:
        """The branch that a version means, if it is one. HEAD is the branch that is checked out, else the remote's."""
        if version == "HEAD":
            return current or self.head_branch or None
        return version if version in self.branches else None

    def commit(self, version: str, current: Optional[str]) -> str:
        """The commit of a version; of a hash the hash itself, as a remote cannot be asked for one."""
        branch = self.branch_of(version, current)
        if branch is not None:
            return self.branches.get(branch, self.head)
        return self.head if version == "HEAD" else self.tags.get(version, version)
