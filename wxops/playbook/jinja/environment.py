"""Every template text, compiled once for all hosts and tasks of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import jinja2.filters
import jinja2.tests
from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from wxops.playbook.jinja.catalog import FILTERS, TESTS
from wxops.playbook.jinja.embedded import expand_constants, has_template
from wxops.playbook.jinja.functions import GLOBALS
from wxops.playbook.jinja.guard import named
from wxops.playbook.jinja.sandbox import Jinja
from wxops.playbook.jinja.scope import Template
from wxops.playbook.jinja.settings import from_header


class Environment:
    """The compiler and its cache. Make one a process: see `shared`."""

    def __init__(self) -> None:
        self.filters = named(jinja2.filters.FILTERS | FILTERS, "filter")
        self.tests = named(jinja2.tests.TESTS | TESTS, "test")
        self._dialects: dict[tuple[Any, ...], Jinja] = {}
        self._inline: dict[str, Template] = {}
        self._expressions: dict[str, Template] = {}
        self._compiling = threading.RLock()  # hosts come to a task together: the first one compiles for all

    def inline(self, text: str) -> Template:
        """A template in a YAML value. Raises jinja2.TemplateSyntaxError."""
        return self._inline.get(text) or self._compiled(text, self._inline, self._compile_inline)

    def expression(self, text: str) -> Template:
        """One expression without braces, such as a condition. Raises jinja2.TemplateSyntaxError."""
        return self._expressions.get(text) or self._compiled(text, self._expressions, self._compile_expression)

    def _compiled(self, text: str, known: dict[str, Template], compile: Callable[[str], Template]) -> Template:
        with self._compiling:
            if text not in known:
                known[text] = compile(text)
            return known[text]

    def _compile_inline(self, text: str) -> Template:
        _, settings = from_header(text)
        jinja = self._dialect(settings, raw_strings=True)
        template = jinja.compiled(jinja.parsed(text))
        template.line_breaks = len(text) - len(text.rstrip("\n"))
        return template

    def _compile_expression(self, text: str) -> Template:
        jinja = self._dialect({})
        return jinja.compiled(expand_constants(jinja.parsed_expression(text), jinja))

    def file(self, name: str, text: str, settings: Mapping[str, Any]) -> Template:
        """A whole template file; its `#jinja2:` header goes before `settings`. Raises jinja2.TemplateSyntaxError."""
        _, own = from_header(text)
        with self._compiling:
            template = self._dialect({**settings, **own}).file(name, text)
        template.line_breaks = len(text) - len(text.rstrip("\n"))
        return template

    def readers_of(self, text: str, name: Any) -> Iterator[str]:
        """The expressions in a template from which an attribute or element `name` is read: for `a.b.c`, 'a.b'."""
        jinja = self._dialect({})
        try:
            tree = jinja.parsed(text) if has_template(text) else jinja.parsed_expression(text)
        except TemplateSyntaxError:
            return
        for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
            if _member(node) == name and (path := _base(node)):
                yield path

    def _dialect(self, settings: Mapping[str, Any], raw_strings: bool = False) -> Jinja:
        key = (raw_strings, *sorted(settings.items()))
        jinja = self._dialects.get(key)
        if jinja is None:
            jinja = Jinja(self.filters, self.tests, GLOBALS, raw_strings=raw_strings, settings=settings)
            self._dialects[key] = jinja
        return jinja


@cache
def shared() -> Environment:
    """The environment of this process."""
    return Environment()


def _member(node: nodes.Node) -> Any:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) else None


def _base(node: nodes.Node) -> str | None:
    return _path(node.node) if isinstance(node, (nodes.Getattr, nodes.Getitem)) else None


def _path(node: nodes.Node) -> str | None:
    """A chain of names as it was written."""
    if isinstance(node, nodes.Name):
        return node.name
    member, base = _member(node), _base(node)
    if member is None or base is None:
        return None
    return f"{base}.{member}" if isinstance(node, nodes.Getattr) else f"{base}[{member!r}]"
