"""Bringing a checkout the objects that its remote has: only when it lacks some, and in a step of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.git import snapshot
from wxops.agent.git.repository import Repository
from wxops.agent.git.work import difference

if TYPE_CHECKING:
    from typing import List, Optional

    from wxops.agent.change import Change
    from wxops.agent.git.remote import Remote


class Fetch:
    """How one task fetches."""

    def __init__(self, repository: Repository, remote_name: str, url: str, version: str, branch: Optional[str],
                 depth: Optional[int], refspec: Optional[str], force: bool) -> None:  # fmt: skip
        self.repository, self.remote_name, self.url = repository, remote_name, url
        self.version, self.branch, self.depth, self.refspec, self.force = version, branch, depth, refspec, force

    def is_needed(self, remote: Remote, commit: str) -> bool:
        """Is there something at the remote that is not here?"""
        here = self.repository
        if self.refspec or self.force or here.remote_url(self.remote_name) != self.url or not here.commit(commit):
            return True
        known = here.refs("refs/heads" if here.is_bare else "refs/remotes/" + self.remote_name)
        known.pop("HEAD", None)
        if any(remote.branches.get(name) not in (None, known[name]) for name in known):
            return True
        if self.depth:
            return self.branch is not None and self.branch not in known
        everything = any("*" in line for line in here.git.lines(
            "config", "--get-all", "remote.%s.fetch" % self.remote_name, cwd=here.path))  # fmt: skip
        missing = set(remote.branches) - set(known) if everything or here.is_bare else set()
        return bool(missing or set(remote.tags) - set(here.refs("refs/tags")))

    def journaled(self, change: Change) -> None:
        """Fetch, in a step without a diff: nothing that anybody works with has changed yet."""
        here = self.repository
        git_dir, state = here.git_dir, here.state()
        saved = dict(snapshot.take([git_dir], [], change.journal), exists=True, git_dir=git_dir, state=state)
        change.stop_if_asked()
        before = set(snapshot.objects(git_dir))
        step = change.begin("git_checkout", here.path, saved, state)
        try:
            self.run()
        finally:
            new = set(snapshot.objects(git_dir)) - before
            snapshot.write_record(change.journal.path(saved["record"]), new)
        change.journal.done(step)

    def run(self) -> None:
        git, path = self.repository.git, self.repository.path
        if self.repository.remote_url(self.remote_name) != self.url:
            known = self.repository.remote_url(self.remote_name)
            git.do("remote", "set-url" if known else "add", self.remote_name, self.url, cwd=path)
        options = ["--force"] if self.force else []
        refspecs = self._shallow() if self.depth else []
        if refspecs:
            options += ["--depth", str(self.depth)]
        elif self.repository.is_bare:
            refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        else:
            options.append("--tags")
        if self.refspec and self.refspec not in refspecs:
            refspecs.append(self.refspec)
        problem = "Failed to download remote objects and refs"
        git.do("fetch", *options, self.remote_name, *refspecs, cwd=path, problem=problem)
        if self.branch and not self.repository.is_bare:
            self._track(options)

    def _track(self, options: List[str]) -> None:
        """A clone of one branch does not fetch the others by itself."""
        if self.branch not in self.repository.refs("refs/remotes/" + self.remote_name):
            self.repository.git.do("fetch", *options, self.remote_name, self._branch_spec(), cwd=self.repository.path)

    def _shallow(self) -> List[str]:
        """The one thing to fetch; nothing for a hash, which may be anywhere."""
        if self.refspec:
            return [self.refspec]
        if self.branch:
            return [self._branch_spec()]
        tag = self.repository.git.lines("ls-remote", "--tags", self.url, self.version, cwd=self.repository.path)
        return ["+refs/tags/%s:refs/tags/%s" % (self.version, self.version)] if tag else []

    def _branch_spec(self) -> str:
        return "+refs/heads/%s:refs/remotes/%s/%s" % (self.branch, self.remote_name, self.branch)


def foreseen_difference(repository: Repository, url: str, before: str, after: str, branch: Optional[str],
                        version: str) -> str:  # fmt: skip
    """What a commit would change. One that is not here yet is asked for in a repository beside this one."""
    if repository.commit(after):
        return difference(repository, before, after)
    folder = tempfile.mkdtemp(prefix="wxops-git-")
    try:
        git = repository.git
        git.do("init", "--quiet", "--bare", folder)
        with open(os.path.join(folder, "objects", "info", "alternates"), "w", encoding="utf-8") as file:
            file.write(os.path.join(os.path.realpath(repository.git_dir), "objects") + "\n")
        wanted = "refs/heads/" + branch if branch else version
        git.do("fetch", "--quiet", "--no-tags", url, wanted, cwd=folder, problem="Failed to checkout %s" % version)
        return difference(Repository(folder, git), before, after)
    finally:
        shutil.rmtree(folder)
