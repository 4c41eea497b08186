"""What `meta` tasks do to a play: they end it, forgive errors, forget facts and connections."""

from __future__ import annotations

from wxops.engine.context import PlayContext
from wxops.playbook.plays import Task

PER_HOST = frozenset({"noop", "flush_handlers", "end_host", "end_role", "reset_connection", "clear_facts"})
"""Those whose condition each host is asked for; the others ask the first host for all."""


def steer(context: PlayContext, wanted: str, hosts: list[str], task: Task) -> None:
    """Do what a meta task wants on the hosts where its condition holds."""
    states, variables = context.states, context.variables
    if wanted == "end_play":
        context.ended = True
    if wanted in ("end_play", "end_batch"):
        hosts = list(variables.batch)
    if wanted == "clear_host_errors":
        hosts = list(variables.hosts)
    for host in hosts:
        state = states[host]
        if wanted in ("end_play", "end_batch", "end_host"):
            state.ended = True
        elif wanted == "end_role":
            state.left_role = task.common.role
        elif wanted == "clear_facts":
            state.forget_facts()
        elif wanted == "clear_host_errors":
            state.forgiven = state.lost
        elif wanted == "reset_connection":
            context.connections.forget(host)
