"""Brings a host into the inventory while a run goes on."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.playbook.inventory_names import split_port

ALIASES = {"host": "name", "hostname": "name", "group": "groups", "groupname": "groups"}


def add_host(call: Call, name: str, groups: list[str] | None = None, **variables: Any) -> Result:
    """Add a host, or give a known one more groups and variables, for the plays to come. Runs once for all hosts.

    Everything beside these arguments is a variable of the host.

    name: the host; with `:PORT` behind it also where its SSH answers.
    groups: the groups that it is in; those that do not exist are made.
    """
    host, port = split_port(name) or (name, None)
    if port is not None:
        variables["ansible_ssh_port"] = port
    within = list(dict.fromkeys(group.strip() for group in groups or [] if group.strip()))
    changed = call.add_host(host, within, variables)
    return {"changed": changed, "add_host": {"host_name": host, "groups": within, "host_vars": variables}}
