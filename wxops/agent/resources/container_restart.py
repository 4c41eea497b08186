"""A container stopped and started again; on rollback too, once all states are back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.docker_socket import Docker
from wxops.agent.resources import Action
from wxops.agent.resources.container import container_named

if TYPE_CHECKING:
    from wxops.agent.resources import State


class ContainerRestart(Action):
    def write(self, name: str, state: State) -> None:
        docker = Docker()
        found = container_named(docker, name)
        if found is not None and found["State"]["Running"]:  # after a rollback it may be gone, or stopped as before
            docker.post("/containers/%s/restart" % found["Id"])


KIND = ContainerRestart()
