"""What a lab is at this moment, as values to show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class HostStatus:
    """state: running, unreachable (it runs, and its sshd does not greet) or off. memory: bytes, page cache included."""

    name: str
    address: str
    state: str
    memory: int


@dataclass(frozen=True)
class LabStatus:
    """registry: where hosts push and pull images. light_hosts: how many there are besides `hosts`."""

    lab: str
    hosts: tuple[HostStatus, ...]
    light_hosts: int
    registry: str
    inventory: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
