"""Services of the host, whatever starts them; here that is systemd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.systemd_service import systemd_service

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change

ALIASES = {"args": "arguments", "daemon-reload": "daemon_reload", "daemon-reexec": "daemon_reexec"}


def service(
    change: Change,
    name: Optional[str] = None,
    state: Optional[Literal["reloaded", "restarted", "started", "stopped"]] = None,
    enabled: Optional[bool] = None,
    sleep: Optional[int] = None,
    pattern: Optional[str] = None,
    runlevel: str = "default",
    arguments: str = "",
    use: str = "auto",
    masked: Optional[bool] = None,
    force: bool = False,
    daemon_reload: bool = False,
    daemon_reexec: bool = False,
    no_block: bool = False,
    scope: Literal["system", "user", "global"] = "system",
) -> Dict[str, Any]:
    """Start, stop, restart or enable a service, through systemd.

    name: the service; needed unless it is only `daemon_reload` or `daemon_reexec`.
    state: started and stopped act only if needed; restarted and reloaded always do, and start what is stopped.
    enabled: whether it starts at boot.
    sleep: taken for Ansible's sake; systemd does not need it, nor the three below.
    pattern: see sleep.
    runlevel: see sleep.
    arguments: see sleep.
    use: auto or systemd.
    masked: this and what follows as systemd_service takes them.
    force: let `enabled` replace links that are there.
    daemon_reload: make systemd read its files anew first.
    daemon_reexec: make systemd start itself anew first.
    no_block: do not wait until the service has started or stopped.
    scope: the system's manager, that of the user the task runs as, or all users'.
    """
    if not os.path.isdir("/run/systemd/system"):
        raise ModuleFailure("this host does not run systemd, and `service` knows no other")
    if state is None and enabled is None and masked is None and not (daemon_reload or daemon_reexec):
        raise ModuleFailure("nothing to do: give state or enabled")
    given = {"sleep": sleep, "pattern": pattern, "arguments": arguments, "runlevel": runlevel != "default"}
    for argument in (argument for argument, value in given.items() if value):
        change.warnings.append("`%s` has no effect on a host with systemd" % argument)
    return systemd_service(
        change, name, state=state, enabled=enabled, masked=masked, force=force, daemon_reload=daemon_reload,
        daemon_reexec=daemon_reexec, no_block=no_block, scope=scope,
    )  # fmt: skip
