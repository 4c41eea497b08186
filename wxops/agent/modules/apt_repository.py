"""Sources of packages for apt, a line each."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from wxops.agent.debian.lists import update_lists
from wxops.agent.debian.ppa import Archive, signing_key
from wxops.agent.debian.source_lists import SourceLists, file_for, valid_source
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import Web

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Mode
    from wxops.agent.change import Change

ALIASES = {"update-cache": "update_cache"}
LOCK_TIMEOUT_S = 60


def apt_repository(
    change: Change,
    repo: str,
    state: Literal["absent", "present"] = "present",
    filename: Optional[str] = None,
    mode: Optional[Mode] = None,
    update_cache: bool = True,
    update_cache_retries: int = 5,
    update_cache_retry_max_delay: int = 12,
    validate_certs: bool = True,
    codename: Optional[str] = None,
    install_python_apt: bool = True,
) -> Dict[str, Any]:
    """Add a source of packages to apt, or take it away, and fetch the package lists when that changed something.

    Lists that are not concerned are not rewritten. When the new lists cannot be fetched, the sources are put back.

    repo: a line of sources.list (`deb [signed-by=/etc/apt/keyrings/x.asc] https://... stable main`), or ppa:OWNER/NAME.
    state: present or absent; absent removes the line from all lists.
    filename: of the list in sources.list.d for a new source, without `.list`; by default made of the URL.
    mode: of the list that a source was added to: octal in quotes ("0644").
    update_cache: fetch the package lists after a change.
    update_cache_retries: how often that is tried.
    update_cache_retry_max_delay: seconds at most between tries; they grow from one on.
    validate_certs: check the certificates of the servers that a PPA is asked of.
    codename: the release for which a PPA is added; by default the host's own.
    install_python_apt: taken for Ansible's sake: nothing needs to be installed on the host.
    """
    if shutil.which("apt-get") is None:
        raise ModuleFailure("this host has no apt-get: `apt_repository` is for Debian and Ubuntu")
    if not repo:
        raise ModuleFailure("Please set argument 'repo' to a non-empty value")
    lists = SourceLists(change)
    ppa = Archive(repo, codename) if repo.startswith("ppa:") else None
    source = ppa.source if ppa is not None else valid_source(repo)
    if state == "absent":
        lists.remove(source)
    else:
        lists.add(source, file_for(source, filename))
        if ppa is not None:
            _trust(change, ppa, Web(validate_certs=validate_certs))
    came_and_went = lists.save(mode)
    if change.changed and update_cache:
        _update(change, lists, update_cache_retries, update_cache_retry_max_delay)
    return {"repo": repo, "state": state, "sources_added": came_and_went["added"],
            "sources_removed": came_and_went["removed"]}  # fmt: skip


def _trust(change: Change, ppa: Archive, web: Web) -> None:
    if change.file(ppa.key_file)["type"] == "absent":
        change.write(ppa.key_file, signing_key(ppa.owner, ppa.name, web), "0644")


def _update(change: Change, lists: SourceLists, retries: int, longest_pause: int) -> None:
    """Fetch the lists; sources that cannot be fetched do not stay, or every later apt-get would stumble over them."""
    try:
        update_lists(change, 0, retries, longest_pause, LOCK_TIMEOUT_S)
    except ModuleFailure:
        lists.put_back()
        raise
