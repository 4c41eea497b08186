"""From YAML to plays. What can be refused is refused here, with file, line and column, before a host is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from wxops.errors import InputError, Origin
from wxops.playbook import keywords, roles, source
from wxops.playbook.plays import Block, Common, Loop, Node, Play, Role, Task, as_list, said
from wxops.playbook.signature import Signature
from wxops.playbook.source import SourceDict, SourceList, SourceStr
from wxops.playbook.templating import check_syntax

STATIC = frozenset({"import_tasks", "import_role"})
STRATEGIES = ("linear", "free", "host_pinned")
IMPORT_ROLE = frozenset(
    {"name", "role", "tasks_from", "vars_from", "defaults_from", "handlers_from", "allow_duplicates"}
)


class ModuleInfo(Protocol):
    """What the loader asks of a module."""

    @property
    def name(self) -> str: ...

    @property
    def signature(self) -> Signature: ...


@dataclass(frozen=True)
class Loader:
    """Reads playbooks, task files and roles.

    modules: name and place -> the module, or InputError. read: a file's variables, decrypted if need be.
    roles_path: where roles are looked for beyond the playbook's own roles/. render: evaluates a template with what is
    known before a host is (extra variables), for the names in static imports.
    """

    modules: Callable[[str, Origin | None], ModuleInfo]
    read: roles.Read
    roles_path: Sequence[Path] = ()
    render: Callable[[Any], Any] = lambda value: value

    def playbook(self, path: Path) -> list[Play]:
        """All plays of a playbook, those that it imports included."""
        data = source.load_file(path)
        if not isinstance(data, SourceList):
            raise InputError("a playbook should be a list of plays", where=str(path))
        plays: list[Play] = []
        for entry in data:
            mapping = keywords.mapping_at(entry, "play", data.origin)
            imported = next((key for key in mapping if str(key).endswith("import_playbook")), None)
            if imported is None:
                plays.append(self._play(mapping, path))
            else:
                plays.extend(self._imported(mapping, imported, path))
        return plays

    def _imported(self, mapping: SourceDict, key: str, path: Path) -> list[Play]:
        keywords.check(mapping, frozenset({"name", "when", "tags", "vars"}), "import_playbook", frozenset({key}))
        target = path.parent / str(self.render(mapping[key]))
        if not target.is_file():
            raise InputError(f"there is no playbook {target}", where=mapping.at(key))
        outer = Common().inner(mapping)
        return [replace(play, common=_under(outer, play.common), sections=tuple(_under_all(outer, play.sections)))
                for play in self.playbook(target)]  # fmt: skip

    def _play(self, mapping: SourceDict, path: Path) -> Play:
        keywords.check(mapping, keywords.PLAY, "play")
        if not mapping.get("hosts"):
            raise InputError("a play needs `hosts`", where=mapping.origin)
        strategy = str(mapping.get("strategy", "linear")).removeprefix("ansible.builtin.")
        if strategy not in STRATEGIES:
            raise InputError(
                f"strategy {strategy!r} is not known", where=mapping.at("strategy"), fix=", ".join(STRATEGIES)
            )
        common = Common().inner({key: value for key, value in mapping.items() if key != "vars"})
        check_syntax(said(mapping, keywords.COMMON | {"vars_files"}))
        scope = _Scope(self, path.parent, path)
        tasks, handlers, used = scope.roles(mapping.get("roles") or [], common)
        own = {name: scope.nodes(mapping.get(name), common) for name in ("pre_tasks", "tasks", "post_tasks")}
        sections = [own["pre_tasks"], (*tasks, *own["tasks"]), own["post_tasks"]]
        handlers += [task for node in scope.nodes(mapping.get("handlers"), common) for task in _flat(node)]
        options = said(mapping, frozenset({"gather_facts", "gather_subset", "gather_timeout", "force_handlers",
                                           "max_fail_percentage"}))  # fmt: skip
        return Play(
            origin=mapping.origin,
            name=mapping.get("name"),
            hosts=mapping["hosts"],
            common=common,
            playbook=path,
            sections=tuple(Block(mapping.origin, tuple(section)) for section in sections if section),
            handlers=tuple(handlers),
            vars=mapping.get("vars") or {},
            vars_files=tuple(as_list(mapping.get("vars_files"))),
            vars_prompt=tuple(mapping.get("vars_prompt") or ()),
            serial=tuple(as_list(mapping.get("serial"))),
            strategy=strategy,
            roles=tuple(used),
            **options,
        )

    def task_file(self, path: Path, common: Common, directory: Path) -> tuple[Node, ...]:
        """The tasks of a file, under the keywords of the include."""
        return _Scope(self, directory, path).nodes(source.load_file(path), common)

    def role(
        self, name: str, params: dict[str, Any], common: Common, directory: Path, where: Origin | None = None,
        tasks_from: str = "main", handlers_from: str = "main", **parts: str,
    ) -> tuple[Role, tuple[Node, ...], list[Task]]:  # fmt: skip
        """A role for an include: itself, its tasks and its handlers (those of its dependencies included)."""
        scope = _Scope(self, directory, directory / "playbook")
        return scope.role(name, params, common, where, tasks_from=tasks_from, handlers_from=handlers_from, **parts)


@dataclass
class _Scope:
    """Loading one file: `directory` is the playbook's, `file` where relative names start."""

    loader: Loader
    directory: Path
    file: Path

    def nodes(self, entries: Any, common: Common) -> tuple[Node, ...]:
        if entries is None:
            return ()
        if not isinstance(entries, SourceList):
            raise InputError("tasks should be a list", where=getattr(entries, "origin", str(self.file)))
        found: list[Node] = []
        for entry in entries:
            found.append(self.node(keywords.mapping_at(entry, "task", entries.origin), common))
        return tuple(found)

    def node(self, mapping: SourceDict, common: Common) -> Node:
        return self.block(mapping, common) if "block" in mapping else self.task(mapping, common)

    def block(self, mapping: SourceDict, common: Common) -> Block:
        keywords.check(mapping, keywords.BLOCK, "block")
        check_syntax(said(mapping, keywords.COMMON))
        inside = common.inner(mapping)
        body, rescue, always = (self.nodes(mapping.get(part), inside) for part in ("block", "rescue", "always"))
        return Block(mapping.origin, body, rescue, always, mapping.get("name"))

    def task(self, mapping: SourceDict, common: Common) -> Node:
        key, name, value = self._module_of(mapping)
        lookup = next((str(k) for k in mapping if str(k).startswith("with_")), None)
        keywords.check(mapping, keywords.TASK, "task", frozenset({key, lookup or key}))
        inside = common.inner(mapping)
        if key == "local_action":
            inside = replace(inside, delegate_to="localhost")
        where = mapping.at(key)
        if self._short(name) in STATIC:
            return self._static(name, value, mapping, inside, where)
        module = self.loader.modules(name, where)
        arguments = self._arguments(module.signature, value, mapping, where)
        check_syntax({k: v for k, v in mapping.items() if k not in ("block", "rescue", "always")})
        conditions = {k: tuple(as_list(mapping[k])) for k in ("changed_when", "failed_when") if k in mapping}
        return Task(
            origin=mapping.origin,
            module=module.name,
            arguments=arguments,
            common=inside,
            name=mapping.get("name"),
            loop=self._loop(mapping, lookup),
            register=mapping.get("register"),
            until=tuple(as_list(mapping.get("until"))),
            retries=mapping.get("retries"),
            delay=mapping.get("delay"),
            listen=tuple(as_list(mapping.get("listen"))),
            rollback=mapping.get("rollback"),
            outer_tags=common.tags,
            **conditions,
        )

    def _module_of(self, mapping: SourceDict) -> tuple[str, str, Any]:
        """(the key in the task, the module's name, what stands behind it)."""
        for key in ("action", "local_action"):
            if key in mapping:
                value = mapping[key]
                if isinstance(value, SourceDict) and "module" in value:
                    rest = SourceDict(value.origin)
                    rest.update({k: v for k, v in value.items() if k != "module"})
                    return key, str(value["module"]), rest
                name, _, text = str(value).partition(" ")
                return key, name, SourceStr(text, mapping.at(key)) if text else None
        candidates = [k for k in mapping if k not in keywords.TASK and not str(k).startswith("with_")]
        if not candidates:
            raise InputError("a task without a module", where=mapping.origin)
        if len(candidates) > 1:
            wrong = next((k for k in candidates if not self._is_module(str(k))), candidates[1])
            if all(self._is_module(str(k)) for k in candidates):
                raise InputError(
                    f"a task with two modules, {candidates[0]} and {candidates[1]}", where=mapping.at(wrong)
                )
            raise keywords.unknown(str(wrong), keywords.TASK, "task", mapping.at(wrong))
        return candidates[0], str(candidates[0]), mapping[candidates[0]]

    def _is_module(self, name: str) -> bool:
        try:
            self.loader.modules(name, None)
        except InputError:
            return self._short(name) in STATIC
        return True

    @staticmethod
    def _short(name: str) -> str:
        return name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")

    def _arguments(self, signature: Signature, value: Any, mapping: SourceDict, where: Origin) -> Any:
        """The task's arguments, checked as far as they are not templates."""
        extra = mapping.get("args")
        if isinstance(extra, SourceStr):
            if value:
                raise InputError("`args` as a template goes with no other arguments", where=mapping.at("args"))
            return extra
        given = SourceDict(where)
        if isinstance(value, SourceDict):
            given.update(value)
            given.keys_at.update(value.keys_at)
        elif isinstance(value, str) and value:
            given.update(signature.free(SourceStr(value, getattr(value, "origin", where)), where))
        elif value is not None and value != "":
            raise InputError(f"{signature.module} takes a mapping of arguments, not {value!r}", where=where)
        if isinstance(extra, SourceDict):
            given.update(extra)
            given.keys_at.update(extra.keys_at)
        signature.check(given, where, has_template)
        return given

    def _loop(self, mapping: SourceDict, lookup: str | None) -> Loop | None:
        control = mapping.get("loop_control") or SourceDict(mapping.origin)
        keywords.check(control, keywords.LOOP_CONTROL, "loop_control")
        if "loop" in mapping and lookup:
            raise InputError(f"a task has either `loop` or `{lookup}`", where=mapping.at(lookup))
        if "loop" not in mapping and not lookup:
            return None
        return Loop(
            terms=mapping[lookup or "loop"], lookup=lookup.removeprefix("with_") if lookup else None,
            variable=str(control.get("loop_var", "item")), index_variable=control.get("index_var"),
            label=control.get("label"), pause=control.get("pause"), extended=bool(control.get("extended")),
        )  # fmt: skip

    def _static(self, name: str, value: Any, mapping: SourceDict, inside: Common, where: Origin) -> Block:
        """import_tasks and import_role: their tasks stand here as if they were written here."""
        if "loop" in mapping or any(str(key).startswith("with_") for key in mapping):
            other = self._short(name).replace("import_", "include_")
            raise InputError(f"{name} cannot loop; {other} can", where=where)
        if self._short(name) == "import_tasks":
            file = value.get("file") if isinstance(value, SourceDict) else value
            return Block(mapping.origin, self._task_file(str(self.loader.render(file)), inside, where))
        given = keywords.mapping_at(value, "import_role", where)
        keywords.check(given, IMPORT_ROLE, "import_role")
        parts = {key: str(given[key]) for key in IMPORT_ROLE if key.endswith("_from") and key in given}
        role = str(self.loader.render(given.get("name") or given.get("role")))
        _, tasks, handlers = self.role(role, {}, inside, where, **parts)
        self.handlers.extend(handlers)
        return Block(mapping.origin, tasks)

    def __post_init__(self) -> None:
        self.handlers: list[Task] = []

    def _task_file(self, name: str, common: Common, where: Origin) -> tuple[Node, ...]:
        path = find_task_file(name, self.file, common.role)
        if path is None:
            raise InputError(f"there is no task file {name}", where=where, fix=f"looked beside {self.file}")
        inner = _Scope(self.loader, self.directory, path)
        nodes = inner.nodes(source.load_file(path), common)
        self.handlers.extend(inner.handlers)
        return nodes

    def roles(self, entries: Sequence[Any], common: Common) -> tuple[list[Node], list[Task], list[Role]]:
        """The `roles:` of a play: their tasks, their handlers, themselves. One that stands twice alike runs once."""
        nodes: list[Node] = []
        handlers: list[Task] = []
        used: list[Role] = []
        for entry in entries:
            mapping = entry if isinstance(entry, SourceDict) else None
            name = str(mapping.get("role") or mapping.get("name") or "") if mapping else str(entry)
            where = getattr(entry, "origin", None)
            if not name:
                raise InputError("a role without a name", where=where)
            params = {k: v for k, v in (mapping or {}).items() if k not in keywords.ROLE}
            inside = common.inner({k: v for k, v in (mapping or {}).items() if k != "name"})
            role, tasks, more = self.role(name, params, inside, where)
            if role not in used or any(role.params != other.params for other in used if other.name == role.name):
                nodes.append(Block(where or Origin(str(self.file)), tasks))
                handlers.extend(more)
            used.append(role)
        return nodes, handlers, used

    def role(
        self, name: str, params: dict[str, Any], common: Common, where: Origin | None, tasks_from: str = "main",
        handlers_from: str = "main", allow_duplicates: Any = True, **parts: str,
    ) -> tuple[Role, tuple[Node, ...], list[Task]]:  # fmt: skip
        search = [self.directory / "roles", *self.loader.roles_path, self.directory]
        path = roles.find(name, search, where)
        role = roles.load(path.name, path, params, self.loader.read, **parts)
        inside = replace(common, role=role)
        before, handlers, _ = self.roles(roles.dependencies(path), common)
        tasks = self._part(path, "tasks", tasks_from, inside)
        own = self._part(path, "handlers", handlers_from, replace(inside, when=(), tags=frozenset()))
        handlers += [task for node in own for task in _flat(node)]
        if tasks_from != "main" and roles.part(path, "tasks", tasks_from) is None:
            raise InputError(f"role {name} has no tasks/{tasks_from}.yml", where=where)
        return role, (*before, *tasks), handlers

    def _part(self, role: Path, folder: str, name: str, common: Common) -> tuple[Node, ...]:
        path = roles.part(role, folder, name)
        if path is None:
            return ()
        inner = _Scope(self.loader, self.directory, path)
        nodes = inner.nodes(source.load_file(path), common)
        self.handlers.extend(inner.handlers)
        return nodes


def find_task_file(name: str, beside: Path, role: Role | None) -> Path | None:
    """A task file as Ansible looks for it: beside the including file, in the role's tasks/."""
    folders = [beside.parent, *([role.path / "tasks", role.path] if role else [])]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def has_template(value: Any) -> bool:
    """Can this only be judged when it has been rendered?"""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(has_template(item) for item in value.values())
    return isinstance(value, list) and any(has_template(item) for item in value)


def _flat(node: Node) -> list[Task]:
    return list(node.tasks()) if isinstance(node, Block) else [node]


def _under(outer: Common, inner: Common) -> Common:
    """Tags, vars and conditions of an import_playbook around those of its plays."""
    return replace(
        inner, when=(*outer.when, *inner.when), tags=outer.tags | inner.tags, vars=(*outer.vars, *inner.vars)
    )


def _under_all(outer: Common, nodes: Sequence[Any]) -> list[Any]:
    if outer == Common():
        return list(nodes)
    return [replace(node, body=tuple(_under_all(outer, node.body)), rescue=tuple(_under_all(outer, node.rescue)),
                    always=tuple(_under_all(outer, node.always))) if isinstance(node, Block)
            else replace(node, common=_under(outer, node.common)) for node in nodes]  # fmt: skip
