"""In which order a play takes its hosts: its keyword `order`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from wxops.errors import InputError, Origin, nearest


def _shuffled(hosts: list[str]) -> list[str]:
    return random.sample(hosts, len(hosts))


ORDERS: dict[str, Callable[[list[str]], list[str]]] = {
    "inventory": list,
    "reverse_inventory": lambda hosts: hosts[::-1],
    "sorted": sorted,
    "reverse_sorted": lambda hosts: sorted(hosts, reverse=True),
    "shuffle": _shuffled,
}


def ordered(hosts: list[str], order: Any, where: Origin) -> list[str]:
    """Hosts, given as the inventory has them, in the wanted order. Raises InputError for an order that is none."""
    wanted = str(order or "inventory")
    if wanted not in ORDERS:
        raise InputError(f"there is no order {wanted!r}", where=where, fix=nearest(wanted, list(ORDERS)))
    return ORDERS[wanted](hosts)
