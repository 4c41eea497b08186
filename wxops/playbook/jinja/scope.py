"""Where a compiled template finds its names: what it set itself, then the variables of the host, then the functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from jinja2.utils import missing

from wxops.playbook.jinja.lazy import OMIT, plain
from wxops.playbook.jinja.undefined import Undefined

if TYPE_CHECKING:
    from wxops.playbook.jinja.sandbox import Jinja
    from wxops.playbook.templating import Templar


class Scope(Context):
    """The names in one run of a template. `templar` is None in a template imported without its context."""

    environment: Jinja
    templar: Templar | None = None

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        if key in self.parent:
            return self.parent[key]
        value = self.templar.resolve(key) if self.templar else missing
        return self.environment.globals.get(key, missing) if value is missing else value

    def get_all(self) -> dict[str, Any]:
        """For what this template includes: its own names, and whose variables it sees."""
        return _Inherited({**self.parent, **self.vars}, self.templar)

    def derived(self, locals: dict[str, Any] | None = None) -> Scope:
        inner = scope_for(self.environment, self.name, {}, self.get_all(), locals)
        inner.eval_ctx = self.eval_ctx
        inner.blocks.update((name, list(blocks)) for name, blocks in self.blocks.items())
        return inner


class _Inherited(dict[str, Any]):
    """Names that an included template gets from the one that includes it."""

    def __init__(self, names: Mapping[str, Any], templar: Templar | None) -> None:
        super().__init__(names)
        self.templar = templar


Blocks = Mapping[str, Callable[[Context], Any]]


def scope_for(
    environment: Jinja,
    name: str | None,
    blocks: Blocks,
    names: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    templar: Templar | None = None,
) -> Scope:
    """A new scope over the names and variables that another scope hands down, or over a templar's."""
    parent = dict(names or {})
    parent.update((key, value) for key, value in (locals or {}).items() if value is not missing)
    scope = Scope(environment, parent, name, dict(blocks))
    scope.templar = names.templar if isinstance(names, _Inherited) else templar
    return scope


class Template(jinja2.Template):
    """A compiled template. One serves all hosts, so nothing of a run stays in it.

    line_breaks: how many end the template's text. jinja drops one; a result that is text gets it back.
    """

    line_breaks = 0

    def new_context(
        self, vars: dict[str, Any] | None = None, shared: bool = False, locals: Mapping[str, Any] | None = None
    ) -> Scope:
        environment: Any = self.environment
        return scope_for(environment, self.name, self.blocks, vars, locals)

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        return self.make_module()  # jinja would keep the first host's

    def result(self, templar: Templar) -> Any:
        """The template evaluated with a host's variables: see `joined`."""
        environment: Any = self.environment
        scope = Scope(environment, {}, self.name, self.blocks)
        scope.templar = templar
        result = joined(self.root_render_func(scope))
        if self.line_breaks and isinstance(result, str):
            missing = self.line_breaks - (len(result) - len(result.rstrip("\n")))
            return result + str(environment.newline_sequence) * missing
        return result


_CONTAINERS = (Mapping, list, tuple, range)


def joined(pieces: Iterable[Any]) -> Any:
    """One piece is the result itself, of its own type; several make a text; None and OMIT add nothing to it."""
    parts = [_body(piece) if isinstance(piece, TemplateModule) else piece for piece in pieces if piece is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    texts = []
    for part in parts:
        if isinstance(part, Undefined):
            return part
        if part is not OMIT:
            texts.append(part if isinstance(part, str) else str(plain(part) if isinstance(part, _CONTAINERS) else part))
    return "".join(texts)


def _body(module: TemplateModule) -> Any:
    """An imported template that is shown itself: its text."""
    result = joined(module._body_stream)
    return result if isinstance(result, Undefined) else str(plain(result)) if result is not None else ""
