"""What a playbook says, as values: plays, blocks, tasks, roles. Nothing here runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wxops.errors import MissingModule, Origin
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.role_names import is_of_a_collection
from wxops.playbook.source import KeywordStr, SourceDict, SourceStr, VaultStr

UNSET: Any = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role in use: where it lies and what its variables are.

    defaults, vars: its own over those of the roles that it depends on and of those that brought it in. params: what
    stands beside its name in `roles:`. dependencies: names. parents: the roles that included it, innermost first.
    around: where those lie that included it or need it, innermost first: their files are its own, too.
    public: does the whole play see its variables? None: as the setting private_role_vars has it.
    """

    name: str
    path: Path
    defaults: Mapping[str, Any] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    parents: tuple[Role, ...] = ()
    around: tuple[Path, ...] = ()
    public: bool | None = None

    @property
    def collection(self) -> str | None:
        """`namespace.collection`, of a role that lies in one and is named so."""
        return self.name.rpartition(".")[0] if is_of_a_collection(self.name) else None

    @property
    def short_name(self) -> str:
        """The name without that of a collection."""
        return self.name.rpartition(".")[2] if self.collection else self.name


@dataclass(frozen=True, slots=True)
class Common:
    """The keywords that a play gives to its blocks, and a block to its tasks. None: not said, so inherited.

    vars and environment: layers, outermost first. when: conditions that must all hold, outermost first.
    params: the variables of includes around, which win over what tasks set.
    module_defaults: layers, outermost first; see defaults.py.
    """

    when: tuple[Any, ...] = ()
    tags: frozenset[str] = frozenset()
    vars: tuple[Mapping[str, Any], ...] = ()
    params: tuple[Mapping[str, Any], ...] = ()
    environment: tuple[Any, ...] = ()
    module_defaults: tuple[Mapping[str, Any], ...] = ()
    become: Any = None
    become_user: Any = None
    become_method: Any = None
    become_flags: Any = None
    become_exe: Any = None
    remote_user: Any = None
    port: Any = None
    connection: Any = None
    timeout: Any = None
    delegate_to: Any = None
    delegate_facts: Any = None
    run_once: Any = None
    no_log: Any = None
    ignore_errors: Any = None
    ignore_unreachable: Any = None
    any_errors_fatal: Any = None
    throttle: Any = None
    check_mode: Any = None
    diff: Any = None
    notify: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    """Where roles with a short name are looked for first."""
    role: Role | None = None
    rescued: bool = False
    """Is there a `rescue` around it?"""
    folder: Path | None = None
    """Where the file with the task lies: files are looked for there, too."""

    def inner(self, said: Mapping[str, Any]) -> Common:
        """What holds inside a block or task that says this."""
        own: dict[str, Any] = {}
        for name in OVERRIDING:
            if name in said:
                own[name] = keyword(said[name], getattr(self, name))
        if "when" in said:
            own["when"] = (*self.when, *as_list(said["when"]))
        if "tags" in said:
            own["tags"] = self.tags | as_tags(said["tags"])
        if said.get("vars"):
            own["vars"] = (*self.vars, said["vars"])
        if said.get("environment"):
            own["environment"] = (*self.environment, *as_list(said["environment"]))
        if said.get("module_defaults"):
            own["module_defaults"] = (*self.module_defaults, *as_list(said["module_defaults"]))
        if "notify" in said:
            own["notify"] = (*self.notify, *as_list(said["notify"]))
        if "collections" in said:
            own["collections"] = (*map(str, as_list(said["collections"])), *self.collections)
        return replace(self, **own) if own else self


OVERRIDING = frozenset(field.name for field in fields(Common)) - {
    "when", "tags", "vars", "params", "environment", "module_defaults", "notify", "role", "rescued",
    "folder", "collections",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loop:
    """`loop` or `with_X`: what to go through, and what each item is called."""

    terms: Any
    lookup: str | None = None
    variable: str = "item"
    index_variable: str | None = None
    label: Any = None
    pause: Any = None
    extended: Any = False
    extended_allitems: Any = True
    break_when: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `arguments` is a mapping, or a template that gives one."""

    origin: Origin
    module: str
    arguments: Any
    common: Common
    name: Any = None
    loop: Loop | None = None
    register: str | None = None
    until: tuple[Any, ...] = ()
    retries: Any = None
    delay: Any = None
    changed_when: tuple[Any, ...] | None = None
    failed_when: tuple[Any, ...] | None = None
    listen: tuple[Any, ...] = ()
    rollback: Any = None
    async_limit: Any = None
    poll: Any = None
    defaults: tuple[Any, ...] = ()
    """What module_defaults or a template gives it, where that is not known yet: else it stands among its arguments."""
    missing: MissingModule | None = None
    """Why wxops cannot do it: the engine refuses it, unless no host comes to it."""
    outer: Common = field(default_factory=Common)
    """What holds around it: so it does for what an include brings in, but not what the include says itself."""

    @property
    def label(self) -> str:
        """What it is called when nobody named it."""
        own = str(self.name) if self.name else self.module
        return f"{self.common.role.name} : {own}" if self.common.role else own


@dataclass(frozen=True, slots=True)
class Block:
    """Tasks in order, with those for when one fails and those for either way.

    role: of the tasks of a role, what it is called with its parameters. once: not where it ran already in this play.
    """

    origin: Origin
    body: tuple[Node, ...]
    rescue: tuple[Node, ...] = ()
    always: tuple[Node, ...] = ()
    name: Any = None
    role: str | None = None
    once: bool = False

    def tasks(self) -> Iterator[Task]:
        """All tasks in it, as written."""
        for node in (*self.body, *self.rescue, *self.always):
            if isinstance(node, Block):
                yield from node.tasks()
            else:
                yield node


Node = Task | Block


@dataclass(frozen=True, slots=True)
class Play:
    """One play. `sections` are pre_tasks, roles with tasks, and post_tasks; handlers run after each, also an empty one.

    handlers: those of each role, the play's own, those of imported roles; of two with one name in different groups the
    later counts.
    """

    origin: Origin
    name: Any
    hosts: Any
    common: Common
    sections: tuple[Block, ...]
    handlers: tuple[tuple[Task, ...], ...]
    playbook: Path
    gather_facts: Any = None
    gather_subset: Any = None
    gather_timeout: Any = None
    fact_path: Any = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    vars_files: tuple[Any, ...] = ()
    vars_prompt: tuple[SourceDict, ...] = ()
    serial: tuple[Any, ...] = ()
    strategy: str = "linear"
    order: Any = None
    force_handlers: Any = None
    max_fail_percentage: Any = None
    roles: tuple[Role, ...] = ()

    @property
    def directory(self) -> Path:
        return self.playbook.parent

    def tasks(self) -> Iterator[Task]:
        for section in self.sections:
            yield from section.tasks()

    def handler_tasks(self) -> Iterator[Task]:
        for group in self.handlers:
            yield from group


def keyword(value: Any, otherwise: Any = None) -> Any:
    """What a keyword says; a template that comes to `omit` leaves it as it is around it."""
    is_template = isinstance(value, SourceStr) and not isinstance(value, VaultStr) and has_template(value)
    return KeywordStr(value, value.origin, otherwise) if is_template else value


def as_list(value: Any) -> list[Any]:
    """One value or several, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def as_tags(value: Any) -> frozenset[str]:
    """`tags: a,b` or a list of them. A template stays whole."""
    found: list[str] = []
    for tag in as_list(value):
        found += [tag] if isinstance(tag, str) and has_template(tag) else map(str.strip, str(tag).split(","))
    return frozenset(filter(None, found))


def said(mapping: SourceDict, names: frozenset[str]) -> dict[str, Any]:
    """Those keys of a mapping that are among `names`."""
    return {key: value for key, value in mapping.items() if key in names}
