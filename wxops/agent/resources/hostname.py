"""The name that the running kernel has for this host; /etc/hostname, for the next boot, is a file like others."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from wxops.agent.change import View
    from wxops.agent.resources import State


class HostnameKind(Kind):
    """The name is always `running`. States: {"hostname": text}."""

    def read(self, name: str, view: View) -> State:
        return {"hostname": os.uname().nodename}

    def write(self, name: str, state: State) -> None:
        try:
            socket.sethostname(state["hostname"])
        except OSError as error:
            raise ModuleFailure("the host cannot be named %s: %s" % (state["hostname"], error.strerror)) from None


KIND = HostnameKind()
