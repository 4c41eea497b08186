"""Reading hosts for an audit: one agent a host, one module, all at once, and nothing is changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wxops.engine.become import become_for
from wxops.engine.connections import Connections
from wxops.engine.options import RunOptions
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.inventory import Inventory
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity

if TYPE_CHECKING:
    from wxops.audit.record import HostRecord

MODULE, FACT = "gpu_facts", "gpu"
LARGEST = 8 << 20
"""Bytes of a record; 8 GPUs, 200 images and 200 containers take a twentieth of it."""


@dataclass(frozen=True)
class Problem:
    """Why there is no record of a host. unreachable: no session with it could be had, or the one there was is gone."""

    what: str
    unreachable: bool = False


def collect(
    inventory: Inventory,
    hosts: Sequence[str],
    options: RunOptions,
    arguments: Mapping[str, Any] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[tuple[str, HostRecord | Problem]]:
    """Read all hosts at once; they come in the order of `hosts`, each as soon as those before it have come.

    arguments: those of the module gpu_facts. meanwhile: called once a host was reached, or could not be: before that
    it would hold up the logins, which take turns with it, and after that hosts are busy and this machine is not.
    The agents check only: no lock, no journal.
    """
    connections = Connections(RunIdentity("audit", check=True), options)
    names = [str(host) for host in hosts]  # those of an inventory know their place in it, which JSON has no form for
    one_was_reached = threading.Event()

    def ask(host: str) -> tuple[str, HostRecord | Problem]:
        templar = Templar({**inventory.variables(host), **options.extra_vars}, vault=options.vault)
        try:
            become = become_for(None, templar, templar.namespace(), options)
            with connections.agent(host, templar.namespace(), become) as agent:
                one_was_reached.set()
                ((_, result),) = agent.run(MODULE, [dict(arguments or {})], task="audit")
        except HostUnreachable as error:
            return host, Problem(str(error), unreachable=True)
        except WxopsError as error:
            return host, Problem(str(error))
        return host, record_of(host, result)

    def answer_of(host: str) -> tuple[str, HostRecord | Problem]:
        try:
            return ask(host)
        finally:
            one_was_reached.set()

    try:
        with ThreadPoolExecutor(max(1, min(options.forks, len(names)))) as pool:
            answers = pool.map(answer_of, names)
            if names:
                one_was_reached.wait()
            meanwhile()
            yield from answers
    finally:
        connections.close()


def record_of(host: str, result: Any) -> HostRecord | Problem:
    """The record in a module's result. What a host makes up is a problem of that host, with the place in the record."""
    import msgspec

    from wxops.audit.record import SCHEMA, HostRecord  # `meanwhile` has, as a rule

    if not isinstance(result, Mapping):
        return Problem(f"{MODULE} gave no result")
    if result.get("failed"):
        return Problem(f"{MODULE} failed: {result.get('msg', 'it does not say why')}")
    facts = result.get("ansible_facts")
    found = facts.get(FACT) if isinstance(facts, Mapping) else None
    if not isinstance(found, Mapping):
        return Problem(f"{MODULE} gave no record")
    if found.get("schema", SCHEMA) != SCHEMA:
        return Problem(f"its record has schema {found['schema']}, and this wxops reads {SCHEMA}")
    size = len(msgspec.json.encode(found))
    if size > LARGEST:
        return Problem(f"its record has {size >> 20} MiB, and no host has more than {LARGEST >> 20} to tell")
    try:
        return msgspec.convert({**found, "host": host, "to_deploy": ()}, HostRecord)  # what is to come no host says
    except msgspec.ValidationError as error:
        return Problem(f"its record does not hold together: {error}")
