"""From YAML to tasks: blocks, modules with their arguments, loops, roles, and what is imported when loading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from wxops.errors import InputError, MissingModule, Origin
from wxops.playbook import defaults, keywords, role_spec, roles, source
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.plays import Block, Common, Node, Role, Task, as_list, keyword, said
from wxops.playbook.reckoning import may_fail, refusing
from wxops.playbook.signature import boolean
from wxops.playbook.source import SourceDict, SourceList
from wxops.playbook.task_arguments import (
    action_of,
    arguments_of,
    as_mapping,
    is_open,
    may_be_anything,
    named_later,
    named_missing,
    template_apart,
    without_args,
)
from wxops.playbook.task_keywords import ModuleInfo, check_apply, check_async, check_templates, loop_of

STATIC = frozenset({"import_tasks", "import_role"})
DYNAMIC = frozenset({"include_tasks", "include_role"})
IMPORT_ROLE = frozenset(
    {"name", "role", "tasks_from", "vars_from", "defaults_from", "handlers_from", "allow_duplicates", "public",
     "rolespec_validate"}
)  # fmt: skip
BY_NAME = "module_by_name"
MISSING = "missing_module"


@dataclass(frozen=True)
class Known:
    """What loading needs to know of the world.

    modules: name and place -> the module, or InputError. read: a file's variables, decrypted if need be.
    roles_path, collections_path: where roles are looked for beyond the playbook's own roles/ and collections/. render:
    evaluates a template with what is known before a host is (extra variables, and those given here), for the names in
    static imports. groups: the modules of an action group, or InputError. collection: refuses a name that no known
    collection has.
    """

    modules: Callable[[str, Origin | None], ModuleInfo]
    read: roles.Read
    roles_path: Sequence[Path] = ()
    render: Callable[[Any, Mapping[str, Any]], Any] = lambda value, variables: value
    groups: Callable[[str, Origin | None], Collection[str]] = lambda name, where: ()
    collection: Callable[[str, Origin | None], None] = lambda name, where: None
    collections_path: Sequence[Path] = ()

    def places(self, directory: Path) -> roles.Places:
        """Where the roles of a playbook in this directory are looked for."""
        return roles.Places(
            [directory / "roles", *self.roles_path, directory], [directory / "collections", *self.collections_path]
        )

    def check(self, mapping: SourceDict, directory: Path) -> None:
        """Refuse module_defaults and collections, on whatever says them, that name what is not known."""
        if mapping.get("module_defaults"):
            defaults.check(mapping["module_defaults"], mapping.at("module_defaults"), self, may_be_anything)
        for name in as_list(mapping.get("collections")):
            if self.places(directory).has_collection(str(name)):
                continue
            self.collection(str(name), getattr(name, "origin", mapping.at("collections")))


@dataclass
class Tasks:
    """The tasks of one file; `directory` is the playbook's, `file` where relative names start.

    variables: those of the play, for names in imports. handlers, imported: those of the roles that were met on the
    way, and the roles that import_role brought in. late: handlers of these, which come after the play's
    own. within: the roles being read, each with its file of tasks: none may need itself.
    """

    known: Known
    directory: Path
    file: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    handlers: list[tuple[Task, ...]] = field(default_factory=list)
    late: list[tuple[Task, ...]] = field(default_factory=list)
    imported: list[Role] = field(default_factory=list)
    within: tuple[tuple[Path, str], ...] = ()

    def nodes(self, entries: Any, common: Common) -> tuple[Node, ...]:
        """A list of tasks and blocks; None is an empty one."""
        if entries is None:
            return ()
        if not isinstance(entries, SourceList):
            raise InputError("tasks should be a list", where=getattr(entries, "origin", str(self.file)))
        common = replace(common, folder=self.file.parent)
        return tuple(self._node(keywords.mapping_at(entry, "task", entries.origin), common) for entry in entries)

    def handlers_in(self, entries: Any, common: Common) -> tuple[Task, ...]:
        """A list of handlers. Conditions and tags around them are not theirs."""
        block = next((each for each in entries or () if isinstance(each, SourceDict) and "block" in each), None)
        if block is not None:
            raise InputError("a block is no handler", where=block.at("block"), fix="let its tasks listen to one topic")
        nodes = self.nodes(entries, replace(common, when=(), tags=frozenset()))
        tasks = tuple(task for node in nodes for task in (node.tasks() if isinstance(node, Block) else [node]))
        for task in tasks:
            for word in ("flush_handlers", "end_role"):
                if task.module == "meta" and task.arguments == {"_raw_params": word}:
                    raise InputError(f"{word} cannot be used as a handler", where=task.origin)
        return tasks

    def _node(self, mapping: SourceDict, common: Common) -> Node:
        return self._block(mapping, common) if "block" in mapping else self._task(mapping, common)

    def _block(self, mapping: SourceDict, common: Common) -> Block:
        keywords.check(mapping, keywords.BLOCK, "block")
        self.known.check(mapping, self.directory)
        check_templates(said(mapping, keywords.COMMON))
        inside = common.inner(mapping)
        body = self.nodes(mapping.get("block"), replace(inside, rescued=inside.rescued or bool(mapping.get("rescue"))))
        rescue, always = (self.nodes(mapping.get(part), inside) for part in ("rescue", "always"))
        return Block(mapping.origin, body, rescue, always, mapping.get("name"))

    def _task(self, mapping: SourceDict, common: Common) -> Node:
        key, name, value = self._module_of(mapping)
        where, short = mapping.at(key), _short(name)
        lookup = next((str(k) for k in mapping if str(k).startswith("with_")), None)
        allowed = keywords.INCLUDE if short in DYNAMIC else keywords.TASK
        keywords.check(mapping, allowed, short if short in DYNAMIC else "task", frozenset({key, lookup or key}))
        inside = common.inner(mapping)
        if key == "local_action":
            inside = replace(inside, delegate_to="localhost")
        reckoned = may_fail(mapping, inside)
        with refusing(unless=reckoned):
            check_templates(mapping)
        self.known.check(mapping, self.directory)
        if short in STATIC:
            return self._static(short, value, mapping, inside, where)
        if has_template(name):
            name, value, mapping = BY_NAME, named_later(name, value, mapping, where), without_args(mapping)
        missing = self._missing(name, inside, where)
        if missing is not None:
            name, value, mapping = MISSING, named_missing(missing, where), without_args(mapping, name)
        module = self.known.modules(name, where)
        value, mapping, template = template_apart(module.signature, value, mapping)
        default = (*defaults.defaults_of(inside.module_defaults, module.name, self.known), *template)
        arguments = arguments_of(module.signature, value, mapping, where, default, reckoned)
        if short in DYNAMIC and isinstance(arguments, SourceDict):
            check_apply(arguments)
            if not reckoned:
                self._check_there(short, arguments, inside, where)
        with refusing(unless=reckoned):
            check_async(mapping, module)
        conditions = {k: tuple(as_list(mapping[k])) for k in ("changed_when", "failed_when") if k in mapping}
        if module.name == "meta" and arguments == {"_raw_params": "end_role"} and inside.role is None:
            raise InputError("end_role outside of a role", where=where, fix="end_host ends the play for a host")
        return Task(
            origin=mapping.origin,
            module=module.name,
            arguments=arguments,
            common=inside,
            name=mapping.get("name"),
            loop=loop_of(mapping, lookup),
            register=mapping.get("register"),
            until=tuple(as_list(mapping.get("until"))),
            retries=keyword(mapping.get("retries")),
            delay=keyword(mapping.get("delay")),
            listen=tuple(as_list(mapping.get("listen"))),
            rollback=mapping.get("rollback"),
            async_limit=keyword(mapping.get("async")),
            poll=keyword(mapping.get("poll")),
            defaults=default if is_open(arguments, default) else (),
            missing=missing,
            outer=common,
            **conditions,
        )

    def _module_of(self, mapping: SourceDict) -> tuple[str, str, Any]:
        """(the key in the task, the module's name, what stands behind it)."""
        for key in ("action", "local_action"):
            if key in mapping:
                return key, *action_of(mapping, key)
        candidates = [k for k in mapping if k not in keywords.TASK and not str(k).startswith("with_")]
        if not candidates:
            raise InputError("a task without a module", where=mapping.origin)
        if len(candidates) > 1:
            wrong = next((k for k in candidates if not self._is_module(str(k))), None)
            if wrong is None:
                first, second = candidates[:2]
                raise InputError(f"a task with two modules, {first} and {second}", where=mapping.at(second))
            raise keywords.unknown(str(wrong), keywords.TASK, "task", mapping.at(wrong))
        return candidates[0], str(candidates[0]), mapping[candidates[0]]

    def _missing(self, name: str, common: Common, where: Origin) -> MissingModule | None:
        """Why a module that is Ansible's, or that the playbook brings along, is not here. Another is refused."""
        try:
            self.known.modules(name, where)
        except MissingModule as error:
            return error
        except InputError:
            folders = [self.directory, *([common.role.path] if common.role else [])]
            brought = (folder / "library" / f"{name}.py" for folder in folders)
            file = next((path for path in brought if path.is_file()), None)
            if file is None:
                raise
            what = f"{name!r} is a module that comes with the playbook ({file}), Python for Ansible: wxops runs none"
            return MissingModule(what, where=where, fix="behind a `when` that holds for no host it may stay")
        return None

    def _is_module(self, name: str) -> bool:
        try:
            self.known.modules(name, None)
        except MissingModule:
            return True
        except InputError:
            return _short(name) in STATIC
        return True

    # -- imports ------------------------------------------------------------------------------------------------------

    def _static(self, name: str, value: Any, mapping: SourceDict, inside: Common, where: Origin) -> Block:
        """import_tasks and import_role: their tasks stand here as if they were written here."""
        if "loop" in mapping or any(str(key).startswith("with_") for key in mapping):
            raise InputError(f"{name} cannot loop; {name.replace('import_', 'include_')} can", where=where)
        render = self._rendering(inside)
        if name == "import_tasks":
            given = value if isinstance(value, SourceDict) else as_mapping(value, where)
            said = {**(given if isinstance(given, SourceDict) else {}), **(mapping.get("args") or {})}
            strange = ", ".join(str(key) for key in said if key not in ("file", "_raw_params"))
            if strange:
                raise InputError(f"Invalid options for import_tasks: {strange}", where=where, fix="it takes file alone")
            file = given.get("file") if isinstance(given, SourceDict) else value
            return Block(mapping.origin, self._import_tasks(str(render(file)), inside, where))
        given = keywords.mapping_at(as_mapping(value, where), "import_role", where)
        keywords.check(given, IMPORT_ROLE, "import_role")
        parts: dict[str, Any] = {key: str(render(file)) for key, file in given.items() if key.endswith("_from")}
        wanted = given.get("name") or given.get("role")
        if not wanted:
            raise InputError("import_role needs name", where=where)
        parts["validate"] = boolean(render(given.get("rolespec_validate", True)))
        parts["once"] = not boolean(render(given.get("allow_duplicates", True)))
        known = len(self.handlers)
        beside = roles.included_with(mapping.get("vars"))
        role, tasks = self.role(str(render(wanted)), {}, inside, where, beside=beside, **parts)
        public = boolean(render(given["public"])) if "public" in given else None
        self.imported.append(replace(role, public=public))
        self.late += self.handlers[known:]
        del self.handlers[known:]
        return Block(mapping.origin, tasks)

    def _rendering(self, common: Common) -> Callable[[Any], Any]:
        """Evaluates names in imports, with the variables that stand around them."""
        role, magic = common.role, {"playbook_dir": str(self.directory)}
        of_role = [role.defaults, role.vars] if role else []
        if role:
            magic.update(role_path=str(role.path), role_name=role.short_name)
        variables = _merged(*of_role[:1], self.variables, *of_role[1:], *common.vars, magic)
        return lambda value: self.known.render(value, variables) if has_template(str(value)) else value

    def _import_tasks(self, name: str, common: Common, where: Origin) -> tuple[Node, ...]:
        path = self._task_file(name, common, where)
        return self._inside(path).nodes(source.load_file(path), common)

    def _task_file(self, name: str, common: Common, where: Origin) -> Path:
        path = find_task_file(name, self.file, common.role, self.directory)
        if path is None:
            raise InputError(f"there is no task file {name}", where=where, fix=f"looked beside {self.file}")
        return path

    def _check_there(self, short: str, arguments: SourceDict, common: Common, where: Origin) -> None:
        """What an include names in so many words is looked for now; a template is the run's affair."""
        file, part = arguments.get("file"), arguments.get("tasks_from", "main")
        role = arguments.get("name") or arguments.get("role")
        if short == "include_tasks" and _is_literal(file):
            self._task_file(file, common, where)
        if short == "include_role" and _is_literal(role):
            _, path = self._places.find(role, where, common.collections)
            if part != "main" and _is_literal(part) and roles.part(path, "tasks", part) is None:
                raise InputError(f"role {role} has no tasks/{part}", where=where)

    @property
    def _places(self) -> roles.Places:
        return self.known.places(self.directory)

    def _inside(self, path: Path) -> Tasks:
        """The same for another file; what it meets of roles is met here."""
        return replace(self, file=path)

    # -- roles --------------------------------------------------------------------------------------------------------

    def roles(
        self, entries: Sequence[Any], common: Common, needed_by: Role | None = None
    ) -> tuple[list[Node], list[Role]]:
        """`roles:` of a play or the dependencies of a role: their tasks and themselves."""
        nodes: list[Node] = []
        used: list[Role] = []
        for entry in entries:
            mapping = entry if isinstance(entry, SourceDict) else SourceDict(getattr(entry, "origin", Origin("")))
            name, where = mapping.get("role") or mapping.get("name") or entry, getattr(entry, "origin", None)
            if not isinstance(name, str):
                raise InputError("a role without a name", where=where)
            check_templates(mapping)
            self.known.check(mapping, self.directory)
            params = {key: value for key, value in mapping.items() if key not in keywords.ROLE}
            inside = common.inner({key: value for key, value in mapping.items() if key != "name"})
            named = str(self.known.render(name, self.variables))
            own = {key: value for key, value in mapping.items() if key in {*params, "when", "tags", "vars"}}
            role, tasks = self.role(named, params, inside, where, needed_by=needed_by, beside=repr(own))
            nodes.append(Block(where or Origin(str(self.file)), tasks))
            used.append(role)
        return nodes, used

    def role(
        self, name: str, params: dict[str, Any], common: Common, where: Origin | None, *, tasks_from: str = "main",
        handlers_from: str = "main", vars_from: str = "main", defaults_from: str = "main",
        needed_by: Role | None = None, validate: bool = True, beside: str = "", once: bool | None = None,
    ) -> tuple[Role, tuple[Node, ...]]:  # fmt: skip
        """A role and its tasks, after those of the roles that it depends on.

        beside: what stands beside its name in `roles:`, or with its include. once: not again where it ran with the
        same; left out, its meta/main.yml says so.
        """
        name, path = self._places.find(name, where, common.collections)
        within = self._within(path, tasks_from, where)
        outer, user = common.role, needed_by or common.role
        own_vars = roles.variables(path, "vars", vars_from, self.known.read)
        role = Role(
            name, path, {}, own_vars, params,
            parents=(outer, *outer.parents) if outer else (), around=(user.path, *user.around) if user else (),
        )  # fmt: skip
        defaults = roles.variables(path, "defaults", defaults_from, self.known.read)
        role = replace(role, defaults=defaults)
        common = replace(common, collections=roles.own_collection(name))
        before, needed = within.roles(roles.dependencies(path), common, role)
        role = _complete(role, user, needed)
        inside = replace(common, role=role, collections=(*common.collections, *roles.collections(path)))
        tasks = within._part(path, "tasks", tasks_from, inside)
        if tasks is None and tasks_from != "main":
            raise InputError(f"role {name} has no tasks/{tasks_from}", where=where)
        self._add_handlers(path, handlers_from, inside)
        checks = role_spec.validation(replace(role, params=params), tasks_from, inside) if validate else ()
        called = " ".join([str(path), tasks_from, handlers_from, vars_from, defaults_from, beside])
        own = Block(
            where or Origin(str(self.file)), (*checks, *(tasks or ())), role=called,
            once=not roles.allows_duplicates(path) if once is None else once,
        )  # fmt: skip
        return role, (*before, own)

    def _within(self, role: Path, tasks_from: str, where: Origin | None) -> Tasks:
        """The same inside a role. Raises InputError for one that needs itself."""
        if (role, tasks_from) in self.within:
            chain = " -> ".join([*(path.name for path, _ in self.within), role.name])
            raise InputError(f"a role needs itself: {chain}", where=where)
        return replace(self, within=(*self.within, (role, tasks_from)))

    def _part(self, role: Path, folder: str, name: str, common: Common) -> tuple[Node, ...] | None:
        path = roles.part(role, folder, name)
        return None if path is None else self._inside(path).nodes(source.load_file(path), common)

    def _add_handlers(self, role: Path, name: str, common: Common) -> None:
        path = roles.part(role, "handlers", name)
        if path is not None:
            own = self._inside(path).handlers_in(source.load_file(path), replace(common, notify=()))
            self.handlers.append(own)


def _complete(role: Role, outer: Role | None, needed: Sequence[Role]) -> Role:
    """A role with the variables of those that it needs, and of the one that brought it in, under its own."""
    outwards = [outer] if outer else []
    return replace(
        role,
        defaults=_merged(*(each.defaults for each in (*needed, *outwards)), role.defaults),
        vars=_merged(*(each.vars for each in (*outwards, *needed)), role.vars),
        params=_merged(*(each.params for each in outwards), role.params),
        dependencies=tuple(name for each in needed for name in (each.name, *each.dependencies)),
    )


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for layer in layers for name, value in layer.items()}


def find_task_file(name: str, beside: Path, role: Role | None, directory: Path) -> Path | None:
    """A task file as Ansible looks for it: in the role's tasks/, beside the including file, in the playbook's."""
    folders = [beside.parent, *([role.path / "tasks", role.path] if role else []), directory / "tasks", directory]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _is_literal(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and bool(name) and not has_template(name)


def _short(name: str) -> str:
    return name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
