"""A task on one host as an action sees it: the engine's side of `actions.Call`."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.actions import Call, Offer, Reach
from wxops.actions.catalog import host_signature
from wxops.digests import sha256
from wxops.errors import InputError, TaskFailed
from wxops.playbook.templating import Templar
from wxops.transport.plain import Completed, run_plain

if TYPE_CHECKING:
    from wxops.engine.host_task import HostTask
    from wxops.transport.tunnel import UnixSocket


class HostCall(Call):
    """One item of a task on one host."""

    def __init__(self, task: HostTask, templar: Templar) -> None:
        self._task, self.templar = task, templar
        self.host, self.task = task.host, task.label
        self.check, self.diff = task.checks(templar), task.diffs(templar)
        self.is_registered = bool(task.task.register)
        self.offers: dict[str, Path | bytes] = {}

    def run(self, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        coerced = host_signature(module).coerce(arguments, self._task.task.origin)
        (result,) = self._task.on_host(module, [coerced], self.offers, self.templar).values()
        if result.get("failed"):
            raise TaskFailed(str(result.get("msg", "failed")), result)
        return result

    def find(self, name: str, folder: str) -> Path:
        """The role's FOLDER/ and itself, then the playbook's, then FOLDER/ of the project and beside playbooks/.

        The last two are for what playbooks share (templates/): the operator's own file hides one that wxops brings.
        """
        looked: list[Path] = []
        places = [place for base in self._task.search_path for place in (base / folder, base)]
        shared = [Path.cwd() / folder, *(base.parent / folder for base in self._task.search_path[-1:])]
        for place in (*places, *shared):
            if (place / name).exists():
                return place / name
            looked.append((place / name).parent)
        where = ", ".join(dict.fromkeys(str(path) for path in looked))
        raise InputError(
            f"there is no {name} on the controller", where=self._task.task.origin, fix=f"looked in {where}"
        )

    def offer(self, content: Path | bytes) -> Offer:
        if isinstance(content, bytes):
            digest, size = hashlib.sha256(content).hexdigest(), len(content)
        else:
            digest, size = sha256(content), content.stat().st_size
        self.offers[digest] = content
        return Offer(digest, digest, size)

    def receive(self, path: Path) -> None:
        self._task.receive_at = path

    def add_host(self, name: str, groups: Sequence[str], variables: Mapping[str, Any]) -> bool:
        context = self._task.context
        return context.additions.add_host(context.variables, name, groups, variables)

    def add_group(self, name: str, parents: Sequence[str]) -> bool:
        return self._task.context.additions.add_group(name, self.host, parents)

    def sleep(self, seconds: float) -> None:
        left = self._task.time_left(self.templar)
        self._task.context.sleep(min(seconds, left))
        if seconds >= left:
            raise TaskFailed(f"Timed out after {self._task.place(self.templar).about['timeout']:g} second(s).", {})

    def socket(self, path: str) -> UnixSocket:
        return self._task.open_socket(path, self.templar)

    def shell(self, command: str, shell: str) -> Completed:
        reach = self.reach()
        return run_plain(reach.options, reach.become, command, shell)

    def reach(self) -> Reach:
        place = self._task.place(self.templar)
        options = self._task.context.connections.options_for(place.host, place.reach)
        same = place.become is not None and place.become.user == (options.user or getpass.getuser())
        return Reach(options, None if same else place.become, place.host != self.host)

    def boot_id(self) -> str:
        return self._task.boot_id(self.templar)

    def reconnect(self, timeout: float) -> None:
        self._task.reconnect(timeout, self.templar)
