"""Which value a variable has on a host in a task: the layers of Ansible's precedence, highest first.

What does not change from task to task is put together once per host and role; a task adds only its own layers.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import wxops
from wxops.engine.options import RunOptions
from wxops.engine.state import HostState
from wxops.errors import UndefinedVariable, WxopsError
from wxops.playbook.inventory import Inventory
from wxops.playbook.plays import Common, Play, Role
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.templating import Templar

ANSIBLE_VERSION = {"full": "2.19.0", "major": 2, "minor": 19, "revision": 0, "string": "2.19.0"}
"""The version whose language wxops speaks; roles ask for it."""

ADDRESS = ("ansible_host", "ansible_ssh_host")
"""Ansible gives every task these two, also where neither the inventory nor a play says them; hostvars has none."""
Layers = tuple[Any, ...]
Key = tuple[str, int, Path | None]
"""A host, the identity of a role, and where the task's file lies."""


class _Kept(NamedTuple):
    """Layers that were put together, and what they are of: while it is kept, its identity is its own."""

    layers: Layers
    role: Role | None
    inventory: Inventory


class Computed(dict[str, Any]):
    """Variables whose value is made when it is read."""

    def __getitem__(self, name: str) -> Any:
        make: Callable[[], Any] = super().__getitem__(name)
        return make()


class Unlisted(Computed):
    """Those that a template finds by name, but not in `vars`."""

    unlisted = True


class Found(dict[str, Any]):
    """The same for variables whose value is there."""

    unlisted = True


@dataclass
class Variables:
    """The variables of one play, for all its hosts. hosts: those of the play, failed ones too.

    inventory: add_host, group_by and refresh_inventory give it another one. before: the one before it was read anew,
    for hosts of the play that are no longer in it.
    """

    inventory: Inventory
    options: RunOptions
    states: dict[str, HostState]
    secrets: SecretRegistry
    play: Play | None = None
    name: str = ""
    prompted: Mapping[str, Any] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    batch: Sequence[str] = ()
    before: Inventory | None = None

    def __post_init__(self) -> None:
        shared = not self.options.private_role_vars
        roles = self.play.roles if self.play else ()
        self._public_roles = tuple(role for role in roles if (shared if role.public is None else role.public))
        self._of_run = self._magic_of_run()
        self._of_play = {**self._of_run, **self._magic_of_play()}
        self._computed = self._magic_that_changes()
        self._files: dict[str, Mapping[str, Any]] = {}
        self._above: dict[tuple[str, int, Path | None], _Kept] = {}
        self._below: dict[Key, _Kept] = {}

    def templar(self, host: str, common: Common | None = None) -> Templar:
        """A templar with everything that holds for this host in a task with these keywords."""
        return self._templar(self._layers(host, common), common)

    def search_path(self, common: Common | None) -> list[Path]:
        """Where files and templates are looked for: the role and those around it, beside the task, the playbook."""
        role = common.role if common else None
        folders = [role.path, *role.around] if role else []
        beside = [common.folder] if common and common.folder else []
        of_play = [self.play.directory] if self.play else []
        return [*dict.fromkeys(folder for folder in (*folders, *beside) if folder not in of_play), *of_play]

    def make_public(self, role: Role) -> None:
        """From now on the whole play sees a role's variables."""
        self._public_roles = (*self._public_roles, role)
        self._below = {}

    def learn_files(self, hosts: Sequence[str], files: Callable[[Templar], Mapping[str, Any]]) -> None:
        """Read `vars_files` for these hosts. One whose name cannot be told yet (it needs facts) is left for later."""
        for host in hosts:
            with contextlib.suppress(UndefinedVariable):
                self._files[host] = files(self.templar(host))
        self._below = {}

    def about_host(self, host: str) -> Templar:
        """A host as `hostvars` shows it: without what the play and its roles say."""
        state = self.state(host)
        own = self._magic_of_host(host, None)
        own.pop("ansible_search_path")
        above = (own, self._of_run, {"groups": self.inventory.groups}, self.options.extra_vars)
        learned = (state.registered, state.included, self._injected(state))
        return self._templar((*above, *learned, self._inventory(host)), None)

    # -- layers -------------------------------------------------------------------------------------------------------

    def _templar(self, layers: Layers, common: Common | None) -> Templar:
        return Templar(
            ChainMap(*layers), search_path=self.search_path(common), vault=self.options.vault, secrets=self.secrets,
            managed=self.options.managed,
        )  # fmt: skip

    def state(self, host: str) -> HostState:
        """What the run knows of a host, be it of this play or not."""
        return self.states.get(host) or self.states.setdefault(host, HostState(host))

    def _layers(self, host: str, common: Common | None) -> Layers:
        state = self.state(host)
        role = common.role if common else None
        above, below = self._fixed_above(host, common), self._fixed_below(host, role, state)
        if common is None:
            return (*above, state.registered, state.included, *below)
        params = (*reversed(common.params), *((role.params,) if role and role.params else ()))
        layers = (*above, *params, state.registered, state.included, *reversed(common.vars), *below)
        if any(name in layer for layer in layers for name in ADDRESS):
            return layers
        return (*layers, Unlisted(dict.fromkeys(ADDRESS, lambda: self._address(host, common))))

    def _address(self, host: str, common: Common) -> str:
        """What a task finds as `ansible_host` where nobody says it: the name of the host that it acts on."""
        if common.delegate_to is None:
            return host
        with contextlib.suppress(WxopsError):
            delegate = str(self.templar(host, replace(common, delegate_to=None)).render(common.delegate_to) or host)
            return self.address(delegate, host)
        return host

    def address(self, delegate: str, host: str) -> str:
        """What a task of this host finds as `ansible_host` when another one does it."""
        known = delegate in self.inventory.hosts and delegate != host
        return str(self.about_host(delegate).namespace().get("ansible_host", delegate)) if known else delegate

    def _fixed_above(self, host: str, common: Common | None) -> Layers:
        """What nothing in a playbook overrides: magic and extra variables."""
        role, inventory = common.role if common else None, self.inventory
        key = (host, id(role), common.folder if common else None)
        kept = self._above.get(key)
        if kept is None or kept.inventory is not inventory:
            layers = (self._magic_of_host(host, common), self._of_play, self._computed, self.options.extra_vars)
            kept = self._above[key] = _Kept(tuple(filter(None, layers)), role, inventory)
        return kept.layers

    def _fixed_below(self, host: str, role: Role | None, state: HostState) -> Layers:
        """Everything weaker than a task's own variables: its layers stay, though facts in them may change."""
        kept, inventory = self._below.get((host, id(role), None)), self.inventory
        if kept is None or kept.inventory is not inventory:
            used = [*([role] if role else []), *reversed(self._public_roles)]
            of_play = [self._files.get(host), self.prompted, self.play.vars if self.play else None]
            strong = filter(None, [*(each.vars for each in used), *of_play])
            weak = filter(None, [self._inventory(host), *(each.defaults for each in used)])
            kept = self._below[host, id(role), None] = _Kept((*strong, self._injected(state), *weak), role, inventory)
        return kept.layers

    def _injected(self, state: HostState) -> Mapping[str, Any]:
        """The facts that are variables of their own, besides `ansible_facts`; always those that operators write."""
        if self.options.inject_facts_as_vars:
            return state.facts
        return Computed(ansible_local=lambda: state.facts.get("ansible_local", {}))

    def _inventory(self, host: str) -> Mapping[str, Any]:
        return self._where(host).variables(host, str(self.play.directory) if self.play else None)

    def _where(self, host: str) -> Inventory:
        """The inventory that knows a host."""
        return self.before if self.before and host not in self.inventory.hosts else self.inventory

    # -- magic --------------------------------------------------------------------------------------------------------

    def _magic_of_run(self) -> dict[str, Any]:
        """What holds in all plays, so that hosts of other plays have it, too."""
        options = self.options
        magic: dict[str, Any] = {
            "ansible_check_mode": options.check, "ansible_diff_mode": options.diff,
            "ansible_verbosity": options.verbosity, "ansible_version": ANSIBLE_VERSION, "ansible_forks": options.forks,
            "ansible_run_tags": sorted(options.tags or {"all"}), "ansible_skip_tags": sorted(options.skip_tags),
            "ansible_playbook_python": sys.executable, "ansible_config_file": options.config_file,
            "ansible_inventory_sources": [_place(source) for source in self.inventory.sources],
            "wxops_version": wxops.__version__,
        }  # fmt: skip
        if options.limit is not None:
            magic["ansible_limit"] = options.limit
        if self.play is not None:
            magic["playbook_dir"] = str(self.play.directory)
        return magic

    def _magic_of_play(self) -> dict[str, Any]:
        """What only a task of the play itself sees."""
        magic: dict[str, Any] = {"hostvars": HostVars(self), "ansible_play_hosts_all": list(self.hosts)}
        if self.play is not None:
            names = [used.name for used in self.play.roles]
            needed = {name for used in self.play.roles for name in used.dependencies}
            magic.update(ansible_play_name=self.name, role_names=names, ansible_play_role_names=names,
                         ansible_role_names=sorted({*names, *needed}),
                         ansible_dependent_role_names=sorted(needed))  # fmt: skip
        return magic

    def _magic_that_changes(self) -> Computed:
        """What changes while the play runs."""

        def present(hosts: Sequence[str]) -> list[str]:
            return [name for name in hosts if name not in self.states or self.states[name].takes_part]

        return Computed(
            groups=lambda: self.inventory.groups,
            ansible_play_hosts_all=lambda: list(self.hosts),
            ansible_play_hosts=lambda: present(self.hosts),
            ansible_play_batch=lambda: present(self.batch),
            play_hosts=lambda: present(self.batch),
        )

    def _magic_of_host(self, host: str, common: Common | None) -> dict[str, Any]:
        role = common.role if common else None
        magic: dict[str, Any] = {
            "inventory_hostname": host, "inventory_hostname_short": host.split(".")[0],
            "group_names": self._where(host).group_names(host), "ansible_facts": self.state(host).ansible_facts,
            "ansible_search_path": [str(path) for path in self.search_path(common)],
        }  # fmt: skip
        if role is not None:
            magic.update(role_path=str(role.path), role_name=role.short_name, ansible_role_name=role.name,
                         ansible_collection_name=role.collection)  # fmt: skip
            if role.parents:
                magic.update(ansible_parent_role_names=[each.name for each in role.parents],
                             ansible_parent_role_paths=[str(each.path) for each in role.parents])  # fmt: skip
        return magic


def _place(source: str) -> str:
    """An inventory as an absolute path; `host1,host2,` is none."""
    return source if "," in source else os.path.abspath(source)


class HostVars(Mapping[str, Any]):
    """`hostvars`: the variables of every host, each evaluated with that host's own values when it is read."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def __getitem__(self, host: str) -> Any:
        if host not in self._variables.inventory.hosts and host != "localhost":
            raise KeyError(host)
        return self._variables.about_host(host).namespace()

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables.inventory.hosts)

    def __len__(self) -> int:
        return len(self._variables.inventory.hosts)
