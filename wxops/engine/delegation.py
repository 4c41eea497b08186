"""To which host an item is delegated, said once for each: all that asks is told the same, also of a `random`."""

from __future__ import annotations

import contextlib
from typing import Any

from wxops.engine.variables import ADDRESS, Found, Variables
from wxops.errors import WxopsError
from wxops.playbook.plays import Common
from wxops.playbook.templating import Templar

DELEGATED = "ansible_delegated_vars"
"""The variables of that host, by its name, as Ansible tells an item."""


def with_delegate(templar: Templar, common: Common, host: str, variables: Variables) -> Templar:
    """The templar of an item that knows it, if there is one."""
    if common.delegate_to is None:
        return templar
    name = None
    with contextlib.suppress(WxopsError):  # the task fails with it before it does anything
        name = templar.render(common.delegate_to)
    if not name:
        return templar
    variables.inventory.meet(str(name))
    there = variables.about_host(str(name))
    known: dict[str, Any] = {"inventory_hostname": host}  # Ansible's own: the host that the play is at
    if "ansible_host" not in there.namespace():
        known["ansible_host"] = str(name)
    told: dict[str, Any] = {DELEGATED: {str(name): there.extended(known).namespace()}}
    if not any(address in templar.namespace() for address in ADDRESS):
        told.update(dict.fromkeys(ADDRESS, variables.address(str(name), host)))
    return templar.extended(Found(told))


def delegate_of(templar: Templar, common: Common) -> str | None:
    """The host's name. An empty text is one that does not do."""
    if common.delegate_to is None:
        return None
    known = templar.namespace().get(DELEGATED)
    name = next(iter(known)) if known else templar.render(common.delegate_to)
    return None if name is None else str(name)
