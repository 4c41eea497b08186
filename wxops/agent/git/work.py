"""What git is to do to a checkout in one step, which of its files that concerns, and how it looks as a diff."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.content import SMALL
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional

    from wxops.agent.git.repository import Repository

GITLINK = "160000"


class Work:
    """`run` does it. git_dir: where git's own files are."""

    def __init__(self, repository: Repository, run: Callable[[], None], text: str, git_dir: Optional[str] = None,
                 paths: Optional[List[str]] = None, modules: Optional[List[str]] = None) -> None:  # fmt: skip
        """paths: what changes in the work tree; modules: submodules; both seen from there."""
        self.repository, self.run, self._text = repository, run, text
        self.git_dir = git_dir or repository.git_dir
        self._paths, self._modules = paths or [], modules or []

    def diff(self) -> str:
        return self._text

    def folders(self) -> List[str]:
        """Folders all of which may change."""
        return [self.git_dir, *(os.path.join(self.repository.path, path) for path in self._modules)]

    def paths(self) -> List[str]:
        """Single files that may change or come, the folders that they are in, and the submodules' own."""
        below = tuple(path + "/" for path in self._modules)
        listed = {path for path in self._paths if not path.startswith(below)} | set(self._modules)
        for path in list(listed):
            listed.update(_folders_above(path))
        return [os.path.join(self.repository.path, path) for path in sorted(listed)]


def _folders_above(path: str) -> Iterator[str]:
    """git removes a folder with its last file."""
    above = os.path.dirname(path)
    while above:
        yield above
        above = os.path.dirname(above)


def switch(repository: Repository, remote: str, version: str, branch: Optional[str]) -> None:
    """Check a version out, whatever stands in the way; a branch is brought to where the remote has it."""
    git, path = repository.git, repository.path
    if branch is None:
        git.do("checkout", "--force", version, cwd=path, problem="Failed to checkout %s" % version)
        return
    problem = "Failed to checkout branch %s" % branch
    theirs = "%s/%s" % (remote, branch)
    if branch in repository.refs("refs/heads"):
        git.do("checkout", "--force", branch, cwd=path, problem=problem)
        git.do("reset", "--hard", theirs, "--", cwd=path, problem=problem)
    else:
        track = "--track" if _is_fetched(repository, remote, branch) else "--no-track"
        git.do("checkout", track, "-b", branch, theirs, cwd=path, problem=problem)


def _is_fetched(repository: Repository, remote: str, branch: str) -> bool:
    """A clone of one branch alone fetches no other by itself, and git refuses to track what is not fetched."""
    specs = repository.git.lines("config", "--get-all", "remote.%s.fetch" % remote, cwd=repository.path)
    sources = [spec.lstrip("+").partition(":")[0] for spec in specs]
    return any(source in ("refs/heads/*", "refs/heads/" + branch) for source in sources)


def update_submodules(repository: Repository, track: bool, force: bool) -> None:
    if not os.path.exists(os.path.join(repository.path, ".gitmodules")):
        return
    options = [*(["--remote"] if track else []), *(["--force"] if force else [])]
    git, path = repository.git, repository.path
    git.do("submodule", "sync", cwd=path)
    git.do("submodule", "update", "--init", "--recursive", *options, cwd=path,
           problem="Failed to init/update submodules")  # fmt: skip


def submodules_of(repository: Repository, commit: str) -> Dict[str, str]:
    """The submodules that a commit has: path -> their commit."""
    found = {}
    for line in repository.git.lines("ls-tree", "-r", "-z", commit, cwd=repository.path):
        about, _, path = line.partition("\t")
        if about.startswith(GITLINK):
            found[path] = about.split()[2]
    return found


def difference(repository: Repository, before: str, after: str) -> str:
    """What changes between two commits, in git's own words."""
    done = repository.git.ask("diff", "--no-color", before, after, cwd=repository.path)
    if done.rc != 0:
        return ">> Failed to get proper diff between %s and %s:\n>> %s" % (before, after, done.stderr.strip())
    if len(done.stdout) > SMALL:
        return repository.git.do("diff", "--no-color", "--stat", before, after, cwd=repository.path)
    return done.stdout or ">> No visual differences between %s and %s" % (before, after)


def verify(repository: Repository, version: str, allowed: List[str]) -> None:
    """Refuse a commit or tag without a good signature, or one by a key that is not in the list."""
    tags = repository.git.lines("for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags",
                                cwd=repository.path)  # fmt: skip
    what = "verify-tag" if "tag " + version in tags else "verify-commit"
    done = repository.git.ask(what, "--raw", version, cwd=repository.path)
    if done.rc != 0:
        raise ModuleFailure('Failed to verify GPG signature of commit/tag "%s"' % version, **done.result())
    signer = _fingerprint(done.stderr)
    if allowed and signer not in allowed:
        raise ModuleFailure('The gpg_allowlist does not include the public key "%s" for this commit' % signer)


def _fingerprint(told: str) -> str:
    """Of the primary key, where gpg names it: doc/DETAILS of GnuPG, VALIDSIG."""
    for words in (line.split() for line in told.splitlines()):
        if words[1:2] == ["VALIDSIG"]:
            return words[11] if len(words) > 11 else words[2]
    return ""
