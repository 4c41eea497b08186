"""Whether hosts answer, and what does: a connection and an agent on each, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from wxops.engine.become import become_for
from wxops.engine.connections import Connections
from wxops.engine.options import RunOptions
from wxops.errors import HostUnreachable, WxopsError
from wxops.playbook.inventory import Inventory
from wxops.playbook.templating import Templar
from wxops.transport.agent import RunIdentity


@dataclass(frozen=True)
class PingResult:
    """One host's answer. error: why there is none."""

    host: str
    python: str = ""
    user: str = ""
    error: str = ""
    unreachable: bool = False


def ping(inventory: Inventory, hosts: Sequence[str], options: RunOptions) -> Iterator[PingResult]:
    """Ask all hosts at once; answers come in the order of `hosts`."""
    connections = Connections(RunIdentity("ping", check=True), options)

    def ask(host: str) -> PingResult:
        templar = Templar({**inventory.variables(host), **options.extra_vars}, vault=options.vault)
        try:
            become = become_for(None, templar, templar.namespace(), options)
            with connections.agent(host, templar.namespace(), become) as agent:
                return PingResult(host, agent.hello["python"], "root" if agent.hello["euid"] == 0 else "a user")
        except HostUnreachable as error:
            return PingResult(host, error=str(error), unreachable=True)
        except WxopsError as error:
            return PingResult(host, error=str(error))

    try:
        with ThreadPoolExecutor(max(1, min(options.forks, len(hosts)))) as pool:
            yield from pool.map(ask, hosts)
    finally:
        connections.close()
