"""From YAML to plays. What can be refused is refused here, with file, line and column, before a host is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook import keywords, prompts, source
from wxops.playbook.plays import Block, Common, Node, Play, Role, Task, as_list, said
from wxops.playbook.source import SourceDict, SourceList
from wxops.playbook.task_loader import Known, Tasks
from wxops.playbook.templating import check_syntax

STRATEGIES = ("linear", "free", "host_pinned")


@dataclass(frozen=True)
class Loader:
    """Reads playbooks, and the task files and roles that a play includes while it runs.

    strategy: of plays that name none. no_log: holds for tasks that do not say otherwise.
    """

    known: Known
    strategy: str = "linear"
    no_log: bool = False

    def playbook(self, path: Path, outer: Common | None = None, variables: dict[str, Any] | None = None) -> list[Play]:
        """All plays of a playbook, those that it imports included.

        outer, variables: what an import_playbook around it says of all its plays.
        """
        data = source.load_file(path)
        if not isinstance(data, SourceList):
            raise InputError("a playbook should be a list of plays", where=str(path))
        if not data:
            raise InputError("a playbook should have at least one play", where=str(path))
        plays: list[Play] = []
        for entry in data:
            mapping = keywords.mapping_at(entry, "play", data.origin)
            imported = next((key for key in mapping if str(key).endswith("import_playbook")), None)
            if imported is None:
                plays.append(self._play(mapping, path, outer or Common(no_log=self.no_log or None), variables or {}))
            else:
                plays.extend(
                    self._imported(
                        mapping, imported, path, outer or Common(no_log=self.no_log or None), variables or {}
                    )
                )
        return plays

    def _imported(
        self, mapping: SourceDict, key: str, path: Path, outer: Common, variables: dict[str, Any]
    ) -> list[Play]:
        keywords.check(mapping, frozenset({"name", "when", "tags", "vars"}), "import_playbook", frozenset({key}))
        check_syntax(mapping)
        around = {**(mapping.get("vars") or {}), **variables}
        target = path.parent / str(self.known.render(mapping[key], around))
        if not target.is_file():
            raise InputError(f"there is no playbook {target}", where=mapping.at(key))
        inside = outer.inner({name: value for name, value in mapping.items() if name != "vars"})
        return self.playbook(target, inside, around)

    def _play(self, mapping: SourceDict, path: Path, outer: Common, variables: dict[str, Any]) -> Play:
        keywords.check(mapping, keywords.PLAY, "play")
        if not mapping.get("hosts"):
            raise InputError("a play needs `hosts`", where=mapping.origin)
        check_syntax(said(mapping, keywords.COMMON | {"hosts", "vars_files", "serial", "order"}))
        self.known.check(mapping, path.parent)
        common = outer.inner({key: value for key, value in mapping.items() if key != "vars"})
        own_vars = {**(mapping.get("vars") or {}), **variables}
        tasks = Tasks(self.known, path.parent, path, own_vars)
        of_roles, used = tasks.roles(mapping.get("roles") or [], common)
        pre, main, post = (tasks.nodes(mapping.get(name), common) for name in ("pre_tasks", "tasks", "post_tasks"))
        own = tasks.handlers_in(mapping.get("handlers"), common)
        options = said(mapping, frozenset({"gather_facts", "gather_subset", "gather_timeout", "fact_path",
                                           "force_handlers", "max_fail_percentage", "order"}))  # fmt: skip
        return Play(
            origin=mapping.origin,
            name=mapping.get("name"),
            hosts=mapping["hosts"],
            common=common,
            playbook=path,
            sections=tuple(Block(mapping.origin, section) for section in (pre, (*of_roles, *main), post)),
            handlers=(*tasks.handlers, *([own] if own else []), *tasks.late),
            vars=own_vars,
            vars_files=tuple(as_list(mapping.get("vars_files"))),
            vars_prompt=prompts.questions(mapping),
            serial=tuple(as_list(mapping.get("serial"))),
            strategy=_strategy(mapping, self.strategy, lambda value: self.known.render(value, own_vars)),
            roles=(*used, *tasks.imported),
            **options,
        )

    def task_file(self, path: Path, common: Common, directory: Path) -> Included:
        """The tasks of a file, under the keywords of the include."""
        tasks = Tasks(self.known, directory, path)
        return Included(tasks.nodes(source.load_file(path), common), (*tasks.handlers, *tasks.late))

    def role(self, name: str, common: Common, directory: Path, where: Origin | None = None, **parts: Any) -> Included:
        """A role for an include. parts: tasks_from, vars_from, defaults_from, handlers_from."""
        tasks = Tasks(self.known, directory, directory / "playbook")
        role, nodes = tasks.role(name, {}, common, where, **parts)
        return Included(nodes, (*tasks.handlers, *tasks.late), replace(role, params={}))


@dataclass(frozen=True)
class Included:
    """What an include brings in: tasks, handlers, and the role that they are of."""

    nodes: tuple[Node, ...]
    handlers: tuple[tuple[Task, ...], ...]
    role: Role | None = None


def _strategy(mapping: SourceDict, otherwise: str, render: Callable[[Any], Any]) -> str:
    strategy = str(render(mapping.get("strategy", otherwise))).removeprefix("ansible.builtin.")
    if strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise InputError(f"strategy {strategy!r} is not known", where=mapping.at("strategy"), fix=f"known: {known}")
    return strategy
