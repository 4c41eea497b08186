"""What the operator asked of one run, apart from the playbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.playbook.vault import VaultKeys

if TYPE_CHECKING:
    from wxops.engine.fact_cache import FactCache


@dataclass(frozen=True)
class RunOptions:
    """Flags of `wxops run`. forks: hosts worked on at the same time."""

    limit: str | None = None
    tags: frozenset[str] = frozenset()
    skip_tags: frozenset[str] = frozenset()
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    forks: int = 100
    force_handlers: bool = False
    error_on_missing_handler: bool = True
    strategy: str = "linear"
    managed: str | None = None
    no_log: bool = False
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    become: bool | None = None
    become_user: str | None = None
    become_method: str | None = None
    become_password: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    remote_user: str | None = None
    port: int | None = None
    private_key: str | None = None
    connection: str | None = None
    ssh_args: str | None = None
    ssh_common_args: str | None = None
    ssh_extra_args: str | None = None
    interpreter: str | None = None
    accept_new: bool = False
    timeout: float | None = None
    vault: VaultKeys = field(default_factory=VaultKeys)
    roles_path: tuple[Path, ...] = ()
    collections_path: tuple[Path, ...] = ()
    start_at_task: str | None = None
    gathering: str = "implicit"
    config_file: str | None = None
    fact_cache: FactCache | None = None
    flush_cache: bool = False
    inject_facts_as_vars: bool = True
    private_role_vars: bool | None = None

    def selects(self, tags: frozenset[str]) -> bool:
        """Does a task with these tags run? By Ansible's rules for always, never, all, tagged and untagged."""
        return _asked_for(self.tags or frozenset({"all"}), tags) and not _skipped(self.skip_tags, tags)


def _asked_for(asked: frozenset[str], tags: frozenset[str]) -> bool:
    usual = "never" not in tags
    return bool(
        "always" in tags
        or asked & tags
        or ("all" in asked and usual)
        or ("tagged" in asked and tags and usual)
        or ("untagged" in asked and not tags)
    )


def _skipped(asked: frozenset[str], tags: frozenset[str]) -> bool:
    if "all" in asked:
        return "always" not in tags or "always" in asked
    return bool(asked & tags or ("tagged" in asked and tags) or ("untagged" in asked and not tags))
