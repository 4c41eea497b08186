"""How the hosts of a batch go through a play: all in step, or each as fast as it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from wxops.engine.context import PlayContext
from wxops.errors import InputError
from wxops.playbook.plays import Play, Task

ON_ITS_OWN = frozenset({"free", "host_pinned"})
"""The strategies in which no host waits for another."""
FOR_ALL = frozenset({"add_host", "pause"})
"""Modules that run once for the whole batch, as those of Ansible that bypass its loop over hosts."""


def go_through(context: PlayContext, hosts: list[str], play: Callable[[list[str]], None]) -> None:
    """Let hosts go through what `play` does with those that it is given, by the play's strategy.

    free: every host has a thread of its own. host_pinned: as many as forks; the next host begins when one has ended.
    """
    if context.play.strategy not in ON_ITS_OWN:
        play(hosts)
        return
    threads = len(hosts) if context.play.strategy == "free" else min(context.options.forks, len(hosts))
    with ThreadPoolExecutor(threads, thread_name_prefix="play") as pool:
        finish(context, [pool.submit(play, [host]) for host in hosts])


def lanes(context: PlayContext, hosts: Sequence[str], at_once: int, work: Callable[[str], Any]) -> dict[str, Any]:
    """What `work` gives for each host, in the order of the hosts. at_once: how many at the same time, 0 for all."""
    results: dict[str, Any] = {}
    waiting = iter(hosts)

    def lane() -> None:
        for host in waiting:
            results[host] = work(host)

    finish(context, [context.pool.submit(lane) for _ in range(min(at_once or len(hosts), len(hosts)))])
    return {host: results[host] for host in hosts}


def finish(context: PlayContext, futures: list[Future[None]]) -> None:
    """Wait for all of them; at Ctrl-C the hosts are told to stop."""
    try:
        wait(futures)
    except KeyboardInterrupt:
        context.stop.set()
        context.connections.cancel()
        wait(futures, timeout=30)
        raise
    for future in futures:
        future.result()


def refuse_for_all(play: Play, task: Task) -> None:
    """What runs once for all hosts has no place where each goes on its own. Raises InputError."""
    if play.strategy in ON_ITS_OWN and task.module in FOR_ALL:
        raise InputError(
            f"{task.module} runs once for all hosts, which strategy {play.strategy} does not know", where=task.origin,
            fix="put it into a play of its own with the linear strategy",
        )  # fmt: skip
