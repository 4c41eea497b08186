"""The agents of a run: one per host and user, started when a task first needs it and kept to the end."""

from __future__ import annotations

import contextlib
import getpass
import resource
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wxops.engine.become import how
from wxops.engine.options import RunOptions
from wxops.errors import HostUnreachable
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import Become, ConnectionOptions, connection_options

CANCEL_S = 2.0
"""How long hosts are told to stop: one whose link is full must hold up neither the others nor the operator."""
Key = tuple[str, str, str, int | None, str | None, Become | None]
"""The inventory's name, then how and as whom the host is reached: one task may say `remote_user`, the next not."""
Who = dict[str, str | None]
"""{"connection", "login" (None: the inventory's), "become" (None: the login user)} of an agent."""
Acted = dict[str, list[Who]]


class Connections:
    """Agents by host and become identity; safe to use from several threads."""

    def __init__(
        self,
        identity: RunIdentity,
        options: RunOptions,
        note: Callable[[str, Who], None] | None = None,
    ) -> None:
        """note: told who acts where as soon as an agent starts, for the rollback of a run whose controller dies."""
        self.identity, self._options, self._note = identity, options, note
        self._agents: dict[Key, Agent] = {}
        self._locks: dict[Key, threading.Lock] = {}
        self._guard = threading.Lock()
        self._acted: Acted = {}
        self._closed = False
        allow_many_files()

    @contextlib.contextmanager
    def agent(self, host: str, variables: Mapping[str, Any], become: Become | None) -> Any:
        """The agent for a host, for this thread alone; started if need be. Raises HostUnreachable."""
        reach = self.options_for(host, variables)
        login = reach.user if reach.connection != "local" else None  # whoever runs this, whatever ansible_user says
        if become is not None and become.user == (login or getpass.getuser()):
            become = None  # already that user; a second agent would wait for the first one's lock
        key = (host, reach.connection, reach.host, reach.port, reach.user, become)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            agent = self._agents.get(key)
            if agent is None or agent.is_lost:
                self._drop(key)
                agent = self._start(reach, become)
                who = _who(reach, become)
                with self._guard:
                    self._agents[key] = agent
                    self._acted.setdefault(host, []).append(who)
                    closed = self._closed
                    if self._note is not None:
                        self._note(host, who)
                if closed:  # Ctrl-C came while it started
                    agent.close()
                    raise HostUnreachable("the run was interrupted")
            try:
                yield agent
            except HostUnreachable:
                self._drop(key)
                raise

    def options_for(self, host: str, variables: Mapping[str, Any]) -> ConnectionOptions:
        """How a host is reached whose variables these are."""
        options = self._options
        return connection_options(
            host, variables, password=options.password, private_key=options.private_key, user=options.remote_user,
            accept_new=options.accept_new, timeout=options.timeout, port=options.port, connection=options.connection,
            interpreter=options.interpreter, ssh_args=options.ssh_args, ssh_common_args=options.ssh_common_args,
            ssh_extra_args=options.ssh_extra_args,
        )  # fmt: skip

    def _start(self, reach: ConnectionOptions, become: Become | None) -> Agent:
        if self._closed:
            raise HostUnreachable("the run was interrupted")
        agent = Agent(reach, become, self.identity)
        holder = agent.hello.get("holder")
        if holder is not None:
            agent.close()
            raise HostUnreachable(
                f"another run holds this host: {holder.get('run', '?')} of {holder.get('user', '?')} "
                f"on {holder.get('controller', '?')}, since {holder.get('started', '?')}",
                fix="wait for it to end; a host whose controller vanished is free again after a minute",
            )
        return agent

    def _drop(self, key: Key) -> None:
        with self._guard:
            agent = self._agents.pop(key, None)
        if agent is not None:
            agent.close()

    def tell(self, host: str, **news: Any) -> bool:
        """What needs no answer, for each agent that is open to a host; was there one?"""
        with self._guard:
            keys = [key for key in self._agents if key[0] == host]
        told = False
        for key in keys:
            with self._locks[key]:
                agent = self._agents.get(key)
                if agent is not None and not agent.is_lost:
                    with contextlib.suppress(HostUnreachable):
                        agent.settle(**news)
                        told = True
        return told

    def used(self) -> Acted:
        """Host -> as whom agents ran there, for a later rollback."""
        return {host: [dict(who) for who in {tuple(w.items()): w for w in acted}.values()]
                for host, acted in self._acted.items()}  # fmt: skip

    def forget(self, host: str) -> None:
        """Close what is open to a host (it reboots, or its login changed): the next task connects anew."""
        with self._guard:
            keys = [key for key in self._agents if key[0] == host]
        for key in keys:
            self._drop(key)

    def cancel(self) -> None:
        """Ctrl-C: nothing new is changed anywhere; running commands end."""
        self._closed = True
        telling = [threading.Thread(target=agent.cancel, daemon=True) for agent in self._open()]
        for thread in telling:
            thread.start()
        deadline = time.monotonic() + CANCEL_S
        for thread in telling:
            thread.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self._closed = True
        agents = self._open()
        if agents:
            with ThreadPoolExecutor(min(32, len(agents))) as pool:
                list(pool.map(Agent.close, agents))

    def traffic(self) -> dict[str, int]:
        """Bytes and round trips over all agents of the run."""
        agents = self._open()
        return {name: sum(getattr(agent.traffic, name) for agent in agents) for name in ("sent", "received", "bursts")}

    def _open(self) -> list[Agent]:
        with self._guard:
            return list(self._agents.values())


def _who(reach: ConnectionOptions, become: Become | None) -> Who:
    whom = how(become) if become else {"become": None}
    return {"connection": reach.connection, "login": reach.user, **whom}


def allow_many_files() -> None:
    """Each host takes three descriptors here: as many as the system lets us have, instead of the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS says more than it gives
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
