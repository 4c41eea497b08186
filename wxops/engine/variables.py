"""Which value a variable has on a host in a task: the layers of Ansible's precedence, highest first."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wxops
from wxops.engine.options import RunOptions
from wxops.engine.state import HostState
from wxops.playbook.inventory import Inventory
from wxops.playbook.plays import Common, Play
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.templating import OMIT, Templar

ANSIBLE_VERSION = {"full": "2.19.0", "major": 2, "minor": 19, "revision": 0, "string": "2.19.0"}
"""The version whose language wxops speaks; roles ask for it."""


@dataclass
class Variables:
    """The variables of one play, for all its hosts."""

    inventory: Inventory
    options: RunOptions
    states: Mapping[str, HostState]
    secrets: SecretRegistry
    play: Play | None = None
    play_vars: Mapping[str, Any] = field(default_factory=dict)
    vars_files: Mapping[str, Any] = field(default_factory=dict)
    prompted: Mapping[str, Any] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    batch: Sequence[str] = ()

    def templar(self, host: str, common: Common | None = None) -> Templar:
        """A templar with everything that holds for this host in a task with these keywords."""
        return Templar(
            ChainMap(*self._layers(host, common)), search_path=self.search_path(common), vault=self.options.vault,
            secrets=self.secrets,
        )  # fmt: skip

    def search_path(self, common: Common | None) -> list[Path]:
        """Where templates and files are looked for: the role, then the playbook."""
        folders = [common.role.path] if common and common.role else []
        return [*folders, *([self.play.directory] if self.play else [])]

    def _layers(self, host: str, common: Common | None) -> list[dict[str, Any]]:
        state = self.states.get(host) or HostState(host)
        role = common.role if common else None
        play_roles = self.play.roles if self.play else ()
        layers: list[Any] = [self._magic(host, state, common), self.options.extra_vars]
        if role:
            layers.append(role.params)
        layers += [state.registered, state.included]
        layers += reversed(common.vars if common else ())
        if role:
            layers.append(role.vars)
        layers += [used.vars for used in reversed(play_roles)]
        layers += [self.vars_files, self.prompted, self.play_vars, state.facts, self._inventory(host)]
        if role:
            layers.append(role.defaults)
        layers += [used.defaults for used in reversed(play_roles)]
        return [layer for layer in layers if layer]

    def _inventory(self, host: str) -> Mapping[str, Any]:
        return self.inventory.variables(host, str(self.play.directory) if self.play else None)

    def _magic(self, host: str, state: HostState, common: Common | None) -> dict[str, Any]:
        """The variables that nobody can set."""
        role, play = common.role if common else None, self.play
        options = self.options
        magic: dict[str, Any] = {
            "inventory_hostname": host, "inventory_hostname_short": host.split(".")[0],
            "group_names": self.inventory.group_names(host), "groups": self.inventory.groups,
            "hostvars": HostVars(self), "ansible_facts": state.ansible_facts, "omit": OMIT,
            "ansible_check_mode": options.check, "ansible_diff_mode": options.diff,
            "ansible_verbosity": options.verbosity, "ansible_version": ANSIBLE_VERSION, "ansible_forks": options.forks,
            "ansible_run_tags": sorted(options.tags or {"all"}), "ansible_skip_tags": sorted(options.skip_tags),
            "ansible_play_hosts_all": list(self.hosts), "ansible_play_batch": list(self.batch),
            "ansible_play_hosts": [name for name in self.hosts if self._plays(name)],
            "play_hosts": [name for name in self.hosts if self._plays(name)], "wxops_version": wxops.__version__,
        }  # fmt: skip
        if play is not None:
            magic.update(playbook_dir=str(play.directory), ansible_play_name=str(play.name or play.hosts),
                         ansible_play_role_names=[used.name for used in play.roles],
                         role_names=[used.name for used in play.roles])  # fmt: skip
        if role is not None:
            magic.update(role_path=str(role.path), role_name=role.name, ansible_role_name=role.name)
        if state.failed_task is not None:
            magic.update(ansible_failed_task=state.failed_task, ansible_failed_result=state.failed_result)
        return magic

    def _plays(self, name: str) -> bool:
        state = self.states.get(name)
        return state is None or not (state.failed or state.unreachable)


class HostVars(Mapping[str, Any]):
    """`hostvars`: the variables of every host, each evaluated with that host's own values when it is read."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def __getitem__(self, host: str) -> Any:
        if host not in self._variables.inventory.hosts and host != "localhost":
            raise KeyError(host)
        return self._variables.templar(host).namespace()

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables.inventory.hosts)

    def __len__(self) -> int:
        return len(self._variables.inventory.hosts)
