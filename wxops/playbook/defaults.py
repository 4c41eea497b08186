"""`module_defaults`: arguments that a play, block or task gives to the tasks of a module or of an action group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from wxops.errors import InputError, Origin
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.plays import as_list
from wxops.playbook.signature import Signature
from wxops.playbook.source import SourceDict, SourceStr

GROUP = "group/"


class Catalog(Protocol):
    """What is asked about modules; a name that is unknown raises InputError."""

    @property
    def modules(self) -> Callable[[str, Origin | None], Named]: ...

    @property
    def groups(self) -> Callable[[str, Origin | None], Collection[str]]: ...


class Named(Protocol):
    """A module."""

    @property
    def name(self) -> str: ...

    @property
    def signature(self) -> Signature: ...


def check(value: Any, where: Origin, catalog: Catalog, is_template: Callable[[Any], bool]) -> None:
    """Refuse modules, groups and arguments that are not known. Raises InputError with the place."""
    for layer in as_list(value):
        if not isinstance(layer, SourceDict):
            raise InputError(f"module_defaults should be a mapping of modules to arguments, not {layer!r}", where=where)
        for name, arguments in layer.items():
            _check_one(str(name), arguments, layer.at(name), catalog, is_template)


def _check_one(name: str, arguments: Any, where: Origin, catalog: Catalog, is_template: Callable[[Any], bool]) -> None:
    if not isinstance(arguments, SourceDict) and not (isinstance(arguments, SourceStr) and has_template(arguments)):
        raise InputError(f"module_defaults of {name} should be a mapping, not {arguments!r}", where=where)
    if name.startswith(GROUP):
        catalog.groups(name.removeprefix(GROUP), where)
    elif isinstance(arguments, SourceDict):
        catalog.modules(name, where).signature.check_each(arguments, where, is_template)


def defaults_of(layers: Sequence[Mapping[str, Any]], module: str, catalog: Catalog) -> tuple[Any, ...]:
    """What holds for a module, the weakest first: of its groups, then its own. An inner layer replaces an outer one."""
    groups: dict[str, Any] = {}
    own: tuple[Any, ...] = ()
    for layer in layers:
        for name, arguments in layer.items():
            if not str(name).startswith(GROUP):
                own = (arguments,) if catalog.modules(name, None).name == module else own
            elif module in catalog.groups(name.removeprefix(GROUP), None):
                groups[name.rpartition(".")[2].removeprefix(GROUP)] = arguments
    return (*groups.values(), *own)


def merged(defaults: Sequence[Mapping[str, Any]], given: SourceDict) -> SourceDict:
    """Arguments over defaults; each knows where it was written."""
    whole = SourceDict(given.origin)
    for layer in (*defaults, given):
        whole.update(layer)
        if isinstance(layer, SourceDict):
            whole.keys_at.update(layer.keys_at)
    return whole
