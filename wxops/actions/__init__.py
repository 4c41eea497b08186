"""Modules with a part on the controller: one typed function a file, named as the module. A file here is a module.

An action's signature is its interface, as a host module's is; its first parameter is the `Call`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar
    from wxops.transport.options import Become, ConnectionOptions
    from wxops.transport.plain import Completed
    from wxops.transport.tunnel import UnixSocket

Result = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """Content on the controller that an agent may ask for by `name` (its NEED frame)."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Reach:
    """How a task gets to its host. delegated: to another one than the inventory's that it is about."""

    options: ConnectionOptions
    become: Become | None
    delegated: bool


class Call(ABC):
    """One task (or loop item) on one host, as an action sees it."""

    host: str
    task: str
    check: bool
    diff: bool
    is_registered: bool
    """Can the playbook read the result?"""
    templar: Templar
    """Renders with the variables of this host and item."""

    @abstractmethod
    def run(self, module: str, arguments: Mapping[str, Any]) -> Result:
        """Run a module on the host and return its result. A failed one raises TaskFailed with that result."""

    @abstractmethod
    def find(self, name: str, folder: str) -> Path:
        """A file on the controller as Ansible looks for it: the role's FOLDER/, the role, the playbook's FOLDER/, the

        playbook. Raises InputError that lists where it looked.
        """

    @abstractmethod
    def offer(self, content: Path | bytes) -> Offer:
        """Make content available to the host's module, which takes it by `change.link.fetch(name)` if it needs it."""

    @abstractmethod
    def receive(self, path: Path) -> None:
        """Where the next content that the host's module sends with `change.link.upload(content)` is to be written

        (to a temporary name beside `path`, then renamed).
        """

    @abstractmethod
    def add_host(self, name: str, groups: Sequence[str], variables: Mapping[str, Any]) -> bool:
        """Bring a host into the inventory; did that change anything?"""

    @abstractmethod
    def add_group(self, name: str, parents: Sequence[str]) -> bool:
        """Put this host into a group of the inventory; did that change anything?"""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the operator wants to stop."""

    @abstractmethod
    def socket(self, path: str) -> UnixSocket:
        """A UNIX socket of the host, tunnelled through the same link; it acts like a connected socket."""

    @abstractmethod
    def shell(self, command: str, shell: str) -> Completed:
        """Run a command line by the login alone, where no agent can be. Raises HostUnreachable."""

    @abstractmethod
    def reach(self) -> Reach:
        """How the host is reached: for what another program than the agent does there."""

    @abstractmethod
    def boot_id(self) -> str:
        """The id that the host's kernel gave itself when it was booted. Raises HostUnreachable."""

    @abstractmethod
    def reconnect(self, timeout: float) -> None:
        """Give up the connection to the host and open it anew, trying for `timeout` seconds. Raises HostUnreachable."""


def succeed(**result: Any) -> Result:
    """A result that changed nothing."""
    return {"changed": False, **result}
