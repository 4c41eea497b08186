"""Checkouts of git repositories."""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import umask as umask_now
from wxops.agent.git.command import LOGIN, Git, ssh_options
from wxops.agent.git.deploy import Deploy
from wxops.agent.git.remote import Remote
from wxops.agent.git.repository import Repository
from wxops.agent.git.separate import move_git_dir

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.arguments import Path, Raw
    from wxops.agent.change import Change

ALIASES = {"name": "repo"}
INSTEAD = {"gpg_whitelist": "say gpg_allowlist"}
FORMATS = {".zip": "zip", ".gz": "tar.gz", ".tar": "tar", ".tgz": "tgz"}


def git(
    change: Change,
    repo: str,
    dest: Optional[Path] = None,
    version: str = "HEAD",
    remote: str = "origin",
    refspec: Optional[str] = None,
    force: bool = False,
    clone: bool = True,
    update: bool = True,
    depth: Optional[int] = None,
    single_branch: bool = False,
    bare: bool = False,
    recursive: bool = True,
    track_submodules: bool = False,
    reference: Optional[str] = None,
    separate_git_dir: Optional[Path] = None,
    archive: Optional[Path] = None,
    archive_prefix: Optional[str] = None,
    verify_commit: bool = False,
    gpg_allowlist: Optional[List[str]] = None,
    key_file: Optional[Path] = None,
    ssh_opts: Optional[str] = None,
    accept_hostkey: bool = False,
    accept_newhostkey: bool = False,
    executable: Optional[Path] = None,
    umask: Optional[Raw] = None,
) -> Dict[str, Any]:
    """Have a git repository checked out, in the version that is asked for. The host needs git.

    A rollback brings back HEAD, branches, the index and each file of the work tree, also those that were modified.

    repo: where the repository is: https://, ssh://, git@HOST:PATH, or a path on the host.
    dest: the directory for it; needed unless `clone: false`.
    version: a branch, a tag, a commit's full hash, or HEAD, the branch that is checked out.
    remote: what the checkout calls that repository.
    refspec: fetch this, too: needed for a commit that is on no branch.
    force: throw away what was modified in the checkout; without it the task fails.
    clone: make the checkout when there is none.
    update: bring it up to date when there is one.
    depth: fetch only so many commits.
    single_branch: clone only the branch that is asked for.
    bare: a repository without a work tree.
    recursive: with its submodules.
    track_submodules: those at the newest commit of their branch, not at the one that the repository says.
    reference: a repository on the host from which objects may be borrowed.
    separate_git_dir: put what git keeps there, outside the work tree.
    archive: make an archive of the version there: .zip, .tar, .tar.gz or .tgz.
    archive_prefix: a directory in the archive that all of it is in; ends with /.
    verify_commit: refuse a version without a good signature, before it is checked out.
    gpg_allowlist: ... or one by another key than these (fingerprints).
    key_file: the private key on the host for ssh.
    ssh_opts: more options for ssh.
    accept_hostkey: ssh takes any host key. That trusts whoever answers; see known_hosts.
    accept_newhostkey: ssh takes the key of a host that it does not know yet, and no changed one.
    executable: the git to use.
    umask: for new files, octal in quotes ("0022").
    """
    if separate_git_dir and bare:
        raise ModuleFailure("parameters are mutually exclusive: separate_git_dir|bare")
    if accept_hostkey and accept_newhostkey:
        raise ModuleFailure("parameters are mutually exclusive: accept_hostkey|accept_newhostkey")
    if archive_prefix is not None and archive is None:
        raise ModuleFailure("missing parameter(s) required by 'archive_prefix': archive")
    if not dest and clone:
        raise ModuleFailure("the destination directory must be specified unless clone=no")
    command = Git(executable, ssh_options(ssh_opts, key_file, accept_hostkey, accept_newhostkey))
    url = "file://" + os.path.expanduser(repo) if os.path.expanduser(repo).startswith("/") else repo
    mask = umask_now()
    try:
        if umask is not None:
            os.umask(_octal(umask))
        here = Repository(os.path.abspath(dest), command) if dest else None
        if here is None or (not clone and not change.state("git_checkout", here.path)["exists"]):
            commit = Remote(command, url).commit(version, None)
            return {"changed": True, "before": None, "after": commit, "diff": _new(commit)}
        result: Dict[str, Any] = {}
        if separate_git_dir and here.exists() and not here.is_bare:
            result.update(move_git_dir(change, here, os.path.realpath(separate_git_dir)))
        deploy = Deploy(
            change, here, url, version, remote, refspec, force, depth, single_branch, bare, recursive, track_submodules,
            reference, separate_git_dir and os.path.realpath(separate_git_dir), verify_commit, gpg_allowlist or [],
        )  # fmt: skip
        result.update(deploy.run(update))
        result["changed"] = result["changed"] or "git_dir_now" in result
        if archive is not None:
            result["changed"] = _archive(change, here, version, archive, archive_prefix) or result["changed"]
        return result
    finally:
        os.umask(mask)


def _octal(text: Any) -> int:
    if not isinstance(text, str):
        raise ModuleFailure("umask must be defined as a quoted octal integer")
    if not re.match("^[0-7]+$", text):
        raise ModuleFailure("umask must be an octal integer", details="it is %r" % text)
    return int(text, 8)


def _new(commit: str) -> List[Dict[str, str]]:
    return [{"prepared": ">> Newly checked out %s\n" % LOGIN.sub(r"\1", commit)}]


def _archive(change: Change, here: Repository, version: str, path: str, prefix: Optional[str]) -> bool:
    """An archive of the version; True if there was another one, or none."""
    form = FORMATS.get(os.path.splitext(path)[1])
    if form is None:
        raise ModuleFailure("Unable to get file extension from archive file name : %s" % path,
                            details="it must end with .zip, .tar, .tar.gz or .tgz")  # fmt: skip
    if ("git_checkout", here.path) in change.view.overlay:
        change.warnings.append("check mode does not clone, so it cannot tell what would be in %s" % path)
        return True
    options = [] if prefix is None else ["--prefix", prefix]
    with tempfile.NamedTemporaryFile(suffix="." + form) as file:
        here.git.do("archive", "--format", form, "--output", file.name, *options, version, cwd=here.path,
                    problem="Failed to perform archive operation")  # fmt: skip
        with open(file.name, "rb") as made:
            content = Content(made.read())
    return change.write(path, content)
