"""Host patterns: `gpu:!edge`, `dc1,&gpu`, `web*`, `~web\\d+`, `gpu[0:3]`, for `hosts:` and --limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from pathlib import Path

from wxops.errors import InputError, nearest
from wxops.playbook.inventory_graph import LOCAL_NAMES, Graph, Host
from wxops.playbook.inventory_names import split_port

_TERM = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(?P<base>.+)\[(?:(?P<index>-?[0-9]+)|(?P<start>[0-9]+)[:-](?P<end>[0-9]*))\]")
_MATCHES_HOSTS = frozenset(".?*[")

Localhost = Callable[[str], Host]


def split(pattern: str | Sequence[str]) -> list[str]:
    """The terms of a pattern. A comma separates them; without one a colon does, unless it is part of an address."""
    if not isinstance(pattern, str):
        return [term for part in pattern for term in split(part)]
    if "," in pattern:
        terms = pattern.split(",")
    elif split_port(pattern):
        terms = [pattern]
    else:
        terms = _TERM.findall(pattern)
    return [term.strip() for term in terms if term.strip()]


def split_limit(limit: str | Sequence[str]) -> list[str]:
    """The terms of --limit; `@FILE` stands for the terms in a file, one a line."""
    terms: list[str] = []
    for term in split(limit):
        terms.extend(_lines(term[1:]) if term.startswith("@") else [term])
    return terms


def resolve(terms: Sequence[str], graph: Graph, localhost: Localhost) -> list[Host]:
    """The hosts that terms select, each once: first what they name, then what `&` keeps, then without what `!` names.

    localhost: gives the controller itself for a name that stands for it and for no host of the inventory.
    """
    named = [term for term in terms if term[0] not in "!&"] or ["all"]
    chosen: dict[Host, None] = {}
    for term in named:
        hosts = [graph.hosts[term]] if term in graph.hosts else match(term, graph, localhost)
        chosen.update(dict.fromkeys(hosts))
    for term in (term for term in terms if term[0] == "&"):
        kept = set(match(term[1:], graph, localhost))
        chosen = {host: None for host in chosen if host in kept}
    for term in (term for term in terms if term[0] == "!"):
        dropped = set(match(term[1:], graph, localhost))
        chosen = {host: None for host in chosen if host not in dropped}
    return list(chosen)


def match(term: str, graph: Graph, localhost: Localhost) -> list[Host]:
    """The hosts of one term without its `&` or `!`: a group, a host, a glob, `~` and a regular expression.

    A subscript counts in the hosts that the rest of the term matches, both ends included.
    """
    base, subscript = _split_subscript(term)
    hosts = [graph.hosts[name] for name in _names(base, graph)]
    if not hosts and base in LOCAL_NAMES:
        hosts = [localhost(base)]
    return _subscripted(hosts, subscript) if subscript else hosts


def unmatched(terms: Sequence[str], graph: Graph) -> list[str]:
    """The terms that match neither a host nor a group: mistyped, most likely."""
    return [term for term in terms if not _is_known(_bare(term), graph)]


def nearest_name(term: str, graph: Graph) -> str:
    """What to write for a term that matches nothing."""
    return nearest(_bare(term), [*graph.groups, *graph.hosts])


def _is_known(term: str, graph: Graph) -> bool:
    base, _ = _split_subscript(term)
    return base in LOCAL_NAMES or any(_matching(base, names) for names in (graph.groups, graph.hosts))


def _bare(term: str) -> str:
    return term[1:] if term[0] in "!&" else term


def _split_subscript(term: str) -> tuple[str, re.Match[str] | None]:
    subscript = None if term.startswith("~") else _SUBSCRIPT.fullmatch(term)
    return (subscript["base"], subscript) if subscript else (term, None)


def _names(base: str, graph: Graph) -> list[str]:
    """Hosts of the groups that match; also the hosts that match when there is no such group, or by a wildcard."""
    groups = _matching(base, graph.groups)
    names = [host for group in groups for host in graph.hosts_of(group)]
    if not groups or base.startswith("~") or _MATCHES_HOSTS & set(base):
        names.extend(_matching(base, graph.hosts))
    return names


def _matching(base: str, names: Iterable[str]) -> list[str]:
    try:
        wanted = re.compile(base[1:] if base.startswith("~") else translate(base))
    except re.error as error:
        raise InputError(f"{base!r} is not a regular expression: {error}") from None
    return [name for name in names if wanted.match(name)]


def _subscripted(hosts: list[Host], subscript: re.Match[str]) -> list[Host]:
    if subscript["index"] is None:
        end = int(subscript["end"]) + 1 if subscript["end"] else len(hosts)
        return hosts[int(subscript["start"]) : end]
    index = int(subscript["index"])
    if hosts and not -len(hosts) <= index < len(hosts):
        raise InputError(f"the pattern {subscript[0]!r} counts past the {len(hosts)} hosts of {subscript['base']!r}")
    return [hosts[index]] if hosts else []


def _lines(path: str) -> list[str]:
    try:
        return [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--limit cannot read its hosts: {error}", where=path) from None
