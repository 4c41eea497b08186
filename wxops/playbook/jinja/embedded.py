"""Templates inside string constants, where ansible-core 2.19 still evaluates them: conditions and lookup terms.

when: "name == '{{ other }}'"        lookup('file', '{{ name }}.txt')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from wxops.playbook.jinja.sandbox import Jinja

LOOKUP_CALLS = ("lookup", "query", "q")


def has_template(text: str) -> bool:
    """Whether a text may be a template; most are not, and cost no more than this."""
    return "{{" in text or "{%" in text or "{#" in text or text.startswith("#jinja2:")


def expand_constants(tree: nodes.Template, jinja: Jinja) -> nodes.Template:
    """The tree with such constants replaced by what they say."""
    return _Everywhere(jinja).visit(tree)  # type: ignore[no-any-return]


def expand_lookup_terms(tree: nodes.Template, jinja: Jinja) -> nodes.Template:
    """The same, only among the terms of lookups."""
    return _InLookups(jinja).visit(tree)  # type: ignore[no-any-return]


class _Everywhere(NodeTransformer):
    def __init__(self, jinja: Jinja) -> None:
        self.jinja = jinja

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:
        if not isinstance(node.value, str) or not has_template(node.value):
            return node
        body = self.jinja.parsed(node.value).body
        if not all(isinstance(part, nodes.Output) for part in body):
            return node
        parts = [_expression(child) for part in body if isinstance(part, nodes.Output) for child in part.nodes]
        found = parts[0] if len(parts) == 1 else nodes.Concat(parts)
        found.set_lineno(node.lineno, override=True).set_environment(self.jinja)
        return found


def _expression(node: nodes.Expr) -> nodes.Expr:
    return nodes.Const(node.data) if isinstance(node, nodes.TemplateData) else node


class _InLookups(NodeTransformer):
    def __init__(self, jinja: Jinja) -> None:
        self.constants = _Everywhere(jinja)

    def visit_Call(self, node: nodes.Call) -> Any:
        node = self.generic_visit(node)  # type: ignore[assignment]
        if isinstance(node.node, nodes.Name) and node.node.name in LOOKUP_CALLS:
            node.args = [self.constants.visit(argument) for argument in node.args]
        return node
