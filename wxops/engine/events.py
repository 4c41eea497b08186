"""What happens in a run, as values: the console shows them, the run record keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "changed", "skipped", "failed", "unreachable", "ignored", "rescued"]
COUNTS = ("ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored")


@dataclass(frozen=True)
class RunStarted:
    """work: about how many results there will be, one a task and host."""

    run: str
    playbooks: tuple[str, ...]
    check: bool
    work: int = 0


@dataclass(frozen=True)
class PlayStarted:
    """apart: each host goes through it on its own (strategy free or host_pinned)."""

    name: str
    hosts: tuple[str, ...]
    apart: bool = False


@dataclass(frozen=True)
class TaskStarted:
    play: str
    task: str
    module: str
    hosts: tuple[str, ...]
    handler: bool = False
    where: str = ""


@dataclass(frozen=True)
class TaskResult:
    """A task's end on one host, or of one item of its loop (`item` is then its label)."""

    host: str
    play: str
    task: str
    module: str
    status: Status
    ms: float
    result: Mapping[str, Any]
    item: Any = None
    is_item: bool = False
    where: str = ""
    delegate: str = ""
    """The host that it was done on, where that is another one."""
    quiet: bool = False
    """Did the task ask not to be told more of it than its status?"""


@dataclass(frozen=True)
class Included:
    """What an include brought in: a file or a role, for which hosts, and of which item of its loop."""

    what: str
    hosts: tuple[str, ...]
    item: Any = None


@dataclass(frozen=True)
class Retrying:
    """`until` does not hold yet. left: how many more times it is tried."""

    host: str
    task: str
    left: int


@dataclass(frozen=True)
class Output:
    """A line that a running command printed. stream: 1 stdout, 2 stderr."""

    host: str
    task: str
    stream: int
    text: str


@dataclass(frozen=True)
class Notice:
    """Something the operator should know that is no result."""

    text: str


@dataclass(frozen=True)
class PlaybookEnded:
    """One of several playbooks is done, and another follows. hosts: the counts so far."""

    hosts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Recap:
    run: str
    hosts: Mapping[str, Mapping[str, int]]
    interrupted: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    stats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Event = (
    RunStarted | PlayStarted | TaskStarted | TaskResult | Included | Retrying | Output | Notice | PlaybookEnded | Recap
)


def as_json(event: Event) -> dict[str, Any]:
    """One line of `--output jsonl`, and of the run record."""
    match event:
        case TaskResult():
            line: dict[str, Any] = {"event": "item" if event.is_item else "task", "host": event.host,
                                    "play": event.play, "task": event.task, "module": event.module}  # fmt: skip
            if event.is_item:
                line["item"] = event.item
            return {**line, "status": event.status, "ms": event.ms, "result": dict(event.result), "where": event.where}
        case Recap():
            line = {"event": "recap", "run": event.run, "hosts": {host: dict(c) for host, c in event.hosts.items()}}
            more = {"interrupted": True} if event.interrupted else {}
            return {**line, **more, **({"custom_stats": event.stats} if event.stats else {})}
        case RunStarted():
            return {"event": "run", "run": event.run, "playbooks": list(event.playbooks), "check": event.check}
        case PlayStarted():
            return {"event": "play", "play": event.name, "hosts": list(event.hosts)}
        case TaskStarted():
            return {"event": "start", "play": event.play, "task": event.task, "module": event.module,
                    "hosts": list(event.hosts)}  # fmt: skip
        case Output():
            return {
                "event": "output",
                "host": event.host,
                "task": event.task,
                "stream": event.stream,
                "text": event.text,
            }
        case PlaybookEnded():
            return {"event": "playbook", "hosts": {host: dict(counts) for host, counts in event.hosts.items()}}
        case Included():
            return {"event": "included", "what": event.what, "hosts": list(event.hosts), "item": event.item}
        case Retrying():
            return {"event": "retry", "host": event.host, "task": event.task, "left": event.left}
        case Notice():
            return {"event": "notice", "text": event.text}
