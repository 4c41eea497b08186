"""Tasks with `async`: started on the host as jobs of their own, and waited for there unless `poll` is 0."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wxops.engine.values import number
from wxops.errors import HostUnreachable, InputError
from wxops.playbook.plays import Task
from wxops.playbook.templating import Templar

if TYPE_CHECKING:
    from wxops.engine.host_task import HostTask

Result = dict[str, Any]
POLL_S = 15.0
"""Ansible's default: DEFAULT_POLL_INTERVAL."""
TIMEOUT = "Timeout exceeded"
"""What a job says that the host has ended because its time was over (`agent.jobs`)."""


@dataclass(frozen=True)
class Background:
    """limit: seconds that the job may take. poll: seconds between two looks at it; 0 means that nobody waits."""

    limit: float
    poll: float

    @classmethod
    def of(cls, task: Task, templar: Templar, *, supported: bool, check: bool) -> Background | None:
        """What a task says for one item; None when it runs as usual, as a check does that somebody waits for.

        supported: can the module go on by itself? Raises InputError where it cannot.
        """
        said, poll_s = templar.render(task.async_limit), templar.render(task.poll)
        limit = number(said, "async", task.origin) if said is not None else 0
        poll = number(poll_s, "poll", task.origin) if poll_s is not None else POLL_S
        if limit and not supported:
            raise InputError(f"This action ({task.module}) does not support async.", where=task.origin)
        return cls(limit, poll) if limit and not (check and poll) else None

    def outcome(self, task: HostTask, templar: Templar, begun: Result) -> Result:
        """What a job came to. The link may break meanwhile: the job knows nothing of it, and is asked again."""
        if not self.poll or "ansible_job_id" not in begun:
            return begun
        job, deadline = str(begun["ansible_job_id"]), time.monotonic() + self.limit
        told: Result = {}
        while not (told.get("finished") or told.get("failed")):
            left = deadline - time.monotonic()
            if left <= 0:
                return self._late(told)
            try:
                told = _ask(task, templar, {"jid": job, "_wait": min(self.poll, left)})
            except HostUnreachable:
                if deadline - time.monotonic() <= self.poll:
                    raise
                task.context.sleep(self.poll)
        if told.get("msg") == TIMEOUT:
            return self._late(told)
        if told.get("finished"):
            with contextlib.suppress(HostUnreachable):  # the next task will notice
                _ask(task, templar, {"jid": job, "mode": "cleanup"})
        return told

    def _late(self, told: Result) -> Result:
        message = f"async task did not complete within the requested time - {self.limit:g}s"
        steps = {"steps": told["steps"]} if told.get("steps") else {}
        return {"failed": True, "changed": False, "msg": message, "async_result": told, **steps}


def _ask(task: HostTask, templar: Templar, arguments: Result) -> Result:
    (told,) = task.on_host("async_status", [arguments], {}, templar, timeout=None).values()
    return told
