"""Bringing a checkout to a version: cloned when there is none, else fetched, switched, and its submodules with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.git.fetching import Fetch, foreseen_difference
from wxops.agent.git.remote import Remote
from wxops.agent.git.work import Work, submodules_of, switch, update_submodules, verify
from wxops.agent.text_file import make_directories
from wxops.agent.tree import names_in

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change
    from wxops.agent.git.repository import Repository

    Result = Dict[str, Any]


NOT_SHALLOW = (
    "Ignoring depth argument. Shallow clones are only available for HEAD, branches, tags or in combination with "
    "refspec."
)


class Deploy:
    """One task's wishes; `run` fulfils them."""

    def __init__(
        self, change: Change, here: Repository, url: str, version: str, remote_name: str, refspec: Optional[str],
        force: bool, depth: Optional[int], single_branch: bool, bare: bool, recursive: bool, track_submodules: bool,
        reference: Optional[str], separate_git_dir: Optional[str], verify_commit: bool, allowed: List[str],
    ) -> None:  # fmt: skip
        self.change, self.here, self.url, self.version, self.remote_name = change, here, url, version, remote_name
        self.refspec, self.force, self.depth, self.single_branch, self.bare = refspec, force, depth, single_branch, bare
        self.recursive, self.track, self.reference = recursive and not bare, track_submodules, reference
        self.separate_git_dir, self.verified, self.allowed = separate_git_dir, verify_commit, allowed

    def run(self, update: bool) -> Result:
        now = self.change.state("git_checkout", self.here.path)
        if not now["exists"]:
            return self._clone()
        if not update:
            return {"changed": False, "before": now["head"], "after": now["head"]}
        return self._update(now)

    def _clone(self) -> Result:
        path = self.here.path
        if self.change.file(path, follow=True)["type"] == "directory" and names_in(self.change, path):
            raise ModuleFailure("fatal: destination path '%s' already exists and is not an empty directory." % path)
        remote = Remote(self.here.git, self.url)
        branch, commit = remote.branch_of(self.version, None), remote.commit(self.version, None)
        options = self._clone_options(branch is not None or self.version in remote.tags)

        def run() -> None:
            git = self.here.git
            git.do("clone", *options, self.url, path, cwd=os.path.dirname(path))
            if self.bare and self.remote_name != "origin":
                git.do("remote", "add", self.remote_name, self.url, cwd=path)
            if self.refspec:
                depth = ["--depth", str(self.depth)] if self.depth else []
                git.do("fetch", *depth, self.remote_name, self.refspec, cwd=path)
            if self.verified:
                verify(self.here, self._named(branch), self.allowed)
            if not self.bare and branch != self.here.branch():
                switch(self.here, self.remote_name, self.version, branch)
            if self.recursive:
                update_submodules(self.here, self.track, self.force)

        make_directories(self.change, os.path.dirname(path))
        if self.change.file(path, follow=True)["type"] == "absent":
            self.change.set("file", self.change.real(path), self.change.new_directory())
        work = Work(self.here, run, ">> Newly checked out %s\n" % commit,
                    self.separate_git_dir or (path if self.bare else os.path.join(path, ".git")))  # fmt: skip
        wanted = {"exists": True, "head": commit, "modified": []}
        self.change.set("git_checkout", path, dict(wanted, work=work))
        return {"changed": True, "before": None, "after": commit if self.change.check else self.here.commit("HEAD")}

    def _named(self, branch: Optional[str]) -> str:
        return "%s/%s" % (self.remote_name, branch) if branch is not None and not self.bare else self.version

    def _clone_options(self, has_name: bool) -> List[str]:
        """has_name: the version is a branch or a tag, not a hash."""
        options = ["--bare"] if self.bare else ["--origin", self.remote_name]
        named = has_name and self.version != "HEAD"
        shallow = bool(self.depth) and (has_name or self.version == "HEAD" or bool(self.refspec))
        if self.depth and not shallow:
            self.change.warnings.append(NOT_SHALLOW)
        options += ["--depth", str(self.depth)] if shallow else []
        options += ["--single-branch"] if self.single_branch else []
        options += ["--branch", self.version] if named and (shallow or self.single_branch) else []
        options += ["--reference", self.reference] if self.reference else []
        options += ["--separate-git-dir=" + self.separate_git_dir] if self.separate_git_dir else []
        return options

    def _update(self, now: Result) -> Result:
        """Fetch what is missing, then switch: two steps, as only the fetch tells which files the switch concerns."""
        result: Result = {"changed": False, "before": now["head"]}
        if now["modified"] and not self.force:
            raise ModuleFailure("Local modifications exist in the destination: %s (force=no)." % self.here.path,
                                files=now["modified"], **result)  # fmt: skip
        is_pending = ("git_checkout", self.here.path) in self.change.view.overlay
        remote = Remote(self.here.git, self.url)
        current: Optional[str] = now.get("branch")
        branch = current if self.bare else remote.branch_of(self.version, current)
        commit = remote.commit("HEAD" if self.bare else self.version, current)
        known_url = self.url if is_pending else self.here.remote_url(self.remote_name)
        result["remote_url_changed"] = bool(known_url) and not _same_place(known_url, self.url)
        fetch = Fetch(self.here, self.remote_name, known_url if _same_place(known_url, self.url) else self.url,
                      self.version, branch, self.depth, self.refspec, self.force)  # fmt: skip
        if not self.change.check and not self.bare and fetch.is_needed(remote, commit):
            fetch.journaled(self.change)
        if not is_pending:
            known = self.here.commit(commit)
            if known is None and not self.change.check and not self.bare:
                raise ModuleFailure("Failed to checkout %s: the repository has no such branch, tag or commit" % commit)
            commit = known or commit
        moves = commit != now["head"] or bool(now["modified"])
        modules = {} if is_pending or moves else self._stale_submodules(commit)
        if self.bare:
            if moves or fetch.is_needed(remote, commit):
                heads = dict(now, heads=dict(now.get("heads", {}), **remote.branches))
                self._set(fetch.run, self._text(now, commit, branch), commit, branch, heads, {})
        elif moves or branch != now.get("branch") or modules:
            self._set(lambda: self._switch(branch), self._text(now, commit, branch), commit, branch, now, modules)
        if now["modified"]:
            result["msg"] = "Local modifications exist in the destination: " + self.here.path
        if modules:
            result["submodules_changed"] = True
        changed = moves or bool(modules) or result["remote_url_changed"]
        return dict(result, changed=changed, after=commit if self.change.check else self.here.commit("HEAD"))

    def _switch(self, branch: Optional[str]) -> None:
        if self.verified:
            verify(self.here, self._named(branch), self.allowed)
        switch(self.here, self.remote_name, self.version, branch)
        if self.recursive:
            update_submodules(self.here, self.track, self.force)

    def _set(self, run: Any, text: str, commit: str, branch: Optional[str], now: Result, stale: Dict[str, str]) -> None:
        paths: List[str] = []
        modules = dict(stale)
        if not self.change.check and not self.bare:
            paths = [*self.here.changed_paths(commit), *now["modified"]]
            if self.recursive:
                modules.update(dict(submodules_of(self.here, "HEAD"), **submodules_of(self.here, commit)))
        heads = dict(now.get("heads", {}), **({branch: commit} if branch else {}))
        wanted: Result = {"head": commit, "branch": branch, "heads": heads, "modified": []}
        work = Work(self.here, run, text, None if self.change.check else self.here.git_dir, paths, sorted(modules))
        self.change.set("git_checkout", self.here.path, dict(wanted, work=work))

    def _text(self, now: Result, commit: str, branch: Optional[str]) -> str:
        if commit == now["head"]:
            return "".join("modified: %s\n" % path for path in now["modified"])
        if ("git_checkout", self.here.path) in self.change.view.overlay:
            return ">> Newly checked out %s\n" % commit
        return foreseen_difference(self.here, self.url, now["head"], commit, branch, self.version)

    def _stale_submodules(self, commit: str) -> Dict[str, str]:
        """Submodules that are not where they should be."""
        found: Dict[str, str] = {}
        for path, wanted in submodules_of(self.here, commit).items() if self.recursive else ():
            module = type(self.here)(os.path.join(self.here.path, path), self.here.git)
            if not os.path.exists(os.path.join(module.path, ".git")):
                found[path] = wanted
                continue
            if self.track:
                remote = Remote(self.here.git, module.remote_url("origin"), module.path)
                asked = self.here.git.lines("config", "--file", ".gitmodules", "submodule.%s.branch" % path,
                                            cwd=self.here.path)  # fmt: skip
                wanted = remote.commit(asked[0] if asked else "HEAD", None)
            if module.commit("HEAD") != wanted:
                found[path] = wanted
        return found


def _same_place(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)
