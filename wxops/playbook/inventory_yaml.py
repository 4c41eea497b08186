"""Inventories in YAML or JSON: groups by name, each with `hosts`, `children` and `vars`."""

from __future__ import annotations

from typing import Any

from wxops.errors import InputError, Origin, nearest
from wxops.playbook.inventory_draft import Draft
from wxops.playbook.inventory_names import expand
from wxops.playbook.source import SourceDict, origin_of

_SECTIONS = ["hosts", "children", "vars"]


def read_groups(data: SourceDict, draft: Draft, source: str) -> None:
    """Add what a parsed file holds to the draft. Raises InputError with the place of what is not an inventory."""
    if "plugin" in data:
        raise InputError(
            f"this configures the inventory plugin {data['plugin']!r}, and wxops runs no plugins",
            where=data.at("plugin"),
            fix="save what it finds: ansible-inventory -i FILE --list --export --yaml > hosts.yml",
        )
    for name, content in data.items():
        _group(name, content, data.at(name), draft, source)


def _group(name: Any, content: Any, at: Origin, draft: Draft, source: str) -> None:
    if not isinstance(name, str) or not name:
        raise InputError(f"a group name is text, not {name!r}", where=at, fix=f'quote it: "{name}":')
    draft.add_group(name)
    sections = _mapping(content, f"the group {name!r}", at)
    for key in sections:
        if key not in _SECTIONS:
            raise _unknown_section(name, key, sections.at(key))
    variables = _mapping(sections.get("vars"), f"vars of {name!r}", sections.at("vars"))
    draft.set_group_variables(name, variables)
    children = _named(sections, "children")
    for child, child_content in children.items():
        _group(child, child_content, children.at(child), draft, source)
        draft.add_child(name, child, children.at(child))
    hosts = _named(sections, "hosts")
    for written, host_content in hosts.items():
        _hosts(written, host_content, name, hosts.at(written), draft, source)


def _hosts(written: Any, content: Any, group: str, at: Origin, draft: Draft, source: str) -> None:
    if not isinstance(written, str) or not written:
        raise InputError(f"a host name is text, not {written!r}", where=at, fix=f'quote it: "{written}":')
    variables = _mapping(content, f"the host {written!r}", at)
    names, port = expand(written, at)
    for name in names:
        draft.add_host(name, group, at, port, source)
        draft.set_host_variables(name, variables)


def _named(sections: SourceDict, section: str) -> SourceDict:
    """`hosts` or `children`: a mapping, or the one name alone."""
    content = sections.get(section)
    at = sections.at(section)
    if isinstance(content, str):
        alone = SourceDict(at)
        alone[content] = None
        return alone
    return _mapping(content, section, at)


def _mapping(content: Any, what: str, at: Origin) -> SourceDict:
    if content is None:
        return SourceDict(at)
    if isinstance(content, SourceDict):
        return content
    hint = "write `name:` lines without dashes" if isinstance(content, list) else "write `name: value` lines below it"
    raise InputError(f"{what}: a mapping belongs here", where=origin_of(content, at), fix=hint)


def _unknown_section(group: str, key: Any, at: Origin) -> InputError:
    return InputError(
        f"the group {group!r} has no section {key!r}",
        where=at,
        fix=f"{nearest(str(key), _SECTIONS)} (groups below {group!r} go under `children:`)",
    )
