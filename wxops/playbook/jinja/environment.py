"""Every template text, compiled once for all hosts and tasks of a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jinja2.filters
import jinja2.tests
from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError, TemplateSyntaxError

from wxops.errors import nearest
from wxops.playbook.jinja.catalog import FILTERS, TESTS
from wxops.playbook.jinja.embedded import LOOKUP_CALLS, expand_constants, has_template
from wxops.playbook.jinja.functions import GLOBALS
from wxops.playbook.jinja.guard import named
from wxops.playbook.jinja.lookups import LOOKUPS
from wxops.playbook.jinja.sandbox import Jinja
from wxops.playbook.jinja.scope import Template
from wxops.playbook.jinja.settings import from_header


class UnknownName(TemplateAssertionError):
    """A filter, test or lookup that does not exist, and the nearest that does."""

    def __init__(self, kind: str, name: str, known: Mapping[str, Any], line: int) -> None:
        super().__init__(f"there is no {kind} {name!r}", line)
        self.fix = nearest(name.removeprefix("ansible.builtin."), [each for each in known if "." not in each])


class Environment:
    """The compiler and its cache. Make one a process: see `shared`."""

    def __init__(self) -> None:
        self.filters = named(jinja2.filters.FILTERS | FILTERS, "filter")
        self.tests = named(jinja2.tests.TESTS | TESTS, "test")
        self._dialects: dict[tuple[Any, ...], Jinja] = {}
        self._inline: dict[str, Template] = {}
        self._expressions: dict[str, Template] = {}

    def inline(self, text: str) -> Template:
        """A template in a YAML value. Raises jinja2.TemplateSyntaxError."""
        template = self._inline.get(text)
        if template is None:
            body, settings = from_header(text)
            jinja = self._dialect(settings, raw_strings=True)
            tree = expand_constants(self._checked(jinja.parsed(body)), jinja, everywhere=False)
            template = self._inline[text] = jinja.compiled(tree)
            template.line_breaks = len(text) - len(text.rstrip("\n"))
        return template

    def expression(self, text: str) -> Template:
        """One expression without braces, such as a condition. Raises jinja2.TemplateSyntaxError."""
        template = self._expressions.get(text)
        if template is None:
            jinja = self._dialect({})
            tree = self._checked(jinja.parsed_expression(text))
            template = self._expressions[text] = jinja.compiled(expand_constants(tree, jinja, everywhere=True))
        return template

    def file(self, name: str, text: str, settings: Mapping[str, Any]) -> Template:
        """A whole template file; its `#jinja2:` header goes before `settings`. Raises jinja2.TemplateSyntaxError."""
        body, own = from_header(text)
        template = self._dialect({**settings, **own}).file(name, body)
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

    def _checked(self, tree: nodes.Template) -> nodes.Template:
        """The tree, if every filter, test and lookup that it names exists."""
        for node in tree.find_all((nodes.Filter, nodes.Test, nodes.Call)):
            if isinstance(node, nodes.Filter) and node.name not in self.filters:
                raise UnknownName("filter", node.name, self.filters, node.lineno)
            if isinstance(node, nodes.Test) and node.name not in self.tests:
                raise UnknownName("test", node.name, self.tests, node.lineno)
            if isinstance(node, nodes.Call):
                _check_lookup(node)
        return tree


@cache
def shared() -> Environment:
    """The environment of this process."""
    return Environment()


def _check_lookup(node: nodes.Call) -> None:
    if not (isinstance(node.node, nodes.Name) and node.node.name in LOOKUP_CALLS and node.args):
        return
    name = node.args[0]
    if isinstance(name, nodes.Const) and str(name.value).removeprefix("ansible.builtin.") not in LOOKUPS:
        raise UnknownName("lookup", str(name.value), LOOKUPS, node.lineno)


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
