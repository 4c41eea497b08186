"""What can be known to be wrong with a template before any host is touched: names that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError

from wxops.errors import nearest
from wxops.playbook.jinja.embedded import LOOKUP_CALLS
from wxops.playbook.jinja.lookups import LOOKUPS, short_name

_NAMES_A_FILTER = {"map": 0}
_NAMES_A_TEST = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}


class UnknownName(TemplateAssertionError):
    """A filter, test or lookup that does not exist; `fix` is the nearest that does."""

    def __init__(self, kind: str, name: str, known: Mapping[str, Any], line: int) -> None:
        super().__init__(f"there is no {kind} {name!r}", line)
        self.fix = nearest(short_name(name), [each for each in known if "." not in each])


def check_names(tree: nodes.Template, filters: Mapping[str, Any], tests: Mapping[str, Any]) -> None:
    """Raises UnknownName for the first filter, test or lookup in a template that does not exist."""
    for node in tree.find_all((nodes.Filter, nodes.Test, nodes.Call)):
        if isinstance(node, nodes.Filter):
            _check("filter", node.name, filters, node)
            _check("filter", _constant(node, _NAMES_A_FILTER.get(node.name)), filters, node)
            _check("test", _constant(node, _NAMES_A_TEST.get(node.name)), tests, node)
        elif isinstance(node, nodes.Test):
            _check("test", node.name, tests, node)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in LOOKUP_CALLS:
            name = _constant(node, 0)
            _check("lookup", name and short_name(name), LOOKUPS, node)


def _check(kind: str, name: str | None, known: Mapping[str, Any], node: nodes.Node) -> None:
    if name is not None and name not in known:
        raise UnknownName(kind, name, known, node.lineno)


def _constant(node: nodes.Filter | nodes.Call, position: int | None) -> str | None:
    """The text that stands at a position among the arguments."""
    if position is None or position >= len(node.args):
        return None
    argument = node.args[position]
    return argument.value if isinstance(argument, nodes.Const) and isinstance(argument.value, str) else None
