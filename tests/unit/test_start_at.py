"""`--start-at-task` and `--step`: which tasks are left, and which are done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from wxops.engine.events import Event, TaskStarted
from wxops.engine.options import RunOptions
from wxops.engine.run import Project, Run
from wxops.engine.stepping import Stepping
from wxops.errors import InputError
from wxops.playbook.inventory import Inventory


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "debug": {"msg": name}} for name in names]


BOOKS: list[list[dict[str, Any]]] = [
    [
        {"name": "one", "tasks": [*named("a"), {"block": named("b", "c"), "rescue": named("r"), "always": named("d")},
                                  *named("e")], "handlers": named("h")},
    ],
    [{"name": "two", "pre_tasks": named("f"), "tasks": named("g [x]", "a")}],
]  # fmt: skip


def ran(tmp_path: Path, **options: Any) -> list[str]:
    """The tasks that began, as play/task."""
    paths = []
    for number, book in enumerate(BOOKS):
        path = tmp_path / f"{number}.yml"
        path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, **play} for play in book]))
        paths.append(path)
    step = options.pop("step", None)
    project = Project.load(Inventory.load(["h,"]), paths, RunOptions(connection="local", **options))
    events: list[Event] = []
    assert Run(project, events.append, tmp_path / "runs", step=step).execute() == 0
    return [f"{event.play}/{event.task}" for event in events if isinstance(event, TaskStarted)]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("a", ["one/a", "one/b", "one/c", "one/d", "one/e", "two/f", "two/g [x]", "two/a"]),
        ("c", ["one/c", "one/d", "one/e", "two/f", "two/g [x]", "two/a"]),
        ("d", ["one/d", "one/e", "two/f", "two/g [x]", "two/a"]),
        ("e", ["one/e", "two/f", "two/g [x]", "two/a"]),
        ("f", ["two/f", "two/g [x]", "two/a"]),
        ("g [x]", ["two/g [x]", "two/a"]),
        ("g*", ["two/g [x]", "two/a"]),
    ],
)
def test_a_run_starts_at_the_first_task_of_that_name(tmp_path: Path, name: str, left: list[str]) -> None:
    assert ran(tmp_path, start_at_task=name) == left


@pytest.mark.parametrize("name", ["nothing", "h", "r"])
def test_a_task_that_cannot_be_the_first_is_refused_before_anything_is_done(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="to start at"):
        ran(tmp_path, start_at_task=name)


def test_each_task_is_asked_for_until_the_rest_of_its_play_is_agreed_to(tmp_path: Path) -> None:
    asked: list[str] = []
    answers = iter(["y", "", "NO", "continue", "n", "yes", "x"])

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    assert ran(tmp_path, step=ask) == ["one/a", "one/d", "one/e", "two/g [x]"]
    assert asked[0] == "Perform task: TASK: a (N)o/(y)es/(c)ontinue"


def test_a_host_that_goes_on_by_itself_is_asked_for_by_name() -> None:
    asked: list[str] = []
    stepping = Stepping(lambda question: asked.append(question) or "y")
    assert stepping.allows("a", "gpu1")
    assert asked == ["Perform task: TASK: a on gpu1 (N)o/(y)es/(c)ontinue"]
