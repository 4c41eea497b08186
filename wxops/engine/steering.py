"""What `meta` tasks do to a play: they end it, forgive errors, forget facts and connections."""

from __future__ import annotations

from wxops.engine.context import PlayContext
from wxops.playbook.plays import Task

PER_HOST = frozenset({"noop", "flush_handlers", "end_host", "end_role", "reset_connection"})
"""Those whose condition each host is asked for; the others ask the first host for all."""
WITHOUT_WHEN = frozenset({"noop", "refresh_inventory", "reset_connection"})
"""Those that nobody is asked for: Ansible does them whatever `when` says, and warns of it."""


def steer(context: PlayContext, wanted: str, hosts: list[str], task: Task) -> None:
    """Do what a meta task wants on the hosts where its condition holds."""
    variables = context.variables
    if wanted == "end_play":
        context.ended = True
    if wanted in ("end_play", "end_batch"):
        hosts = list(variables.batch)
    if wanted in ("clear_host_errors", "clear_facts"):
        hosts = list(variables.hosts)
    if wanted == "refresh_inventory":
        context.additions.refresh(variables)
        pattern = variables.templar(hosts[0]).render(context.play.hosts)
        selected = [host.name for host in variables.inventory.select(pattern, context.options.limit)]
        variables.hosts = [*variables.hosts, *(host for host in selected if host not in variables.hosts)]
        for host in set(variables.batch).difference(selected):  # no longer in the inventory: it takes no part any more
            variables.state(host).ended = True
    for host in hosts:
        state = variables.state(host)
        if wanted in ("end_play", "end_batch", "end_host"):
            state.ended = True
        elif wanted == "end_role":
            state.leaves_role = True
        elif wanted == "clear_facts":
            state.forget_facts()
        elif wanted == "clear_host_errors":
            state.forgiven = state.lost
            state.clearings += 1
        elif wanted == "reset_connection":
            context.connections.forget(host)
