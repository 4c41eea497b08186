"""A check that installs a package foresees what comes after it: a role's next tasks touch files that it would bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.actions.catalog import host_signature
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules import blockinfile, file, ini_file, lineinfile, replace

TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a file in its directory": (file.file, {"path": "{}/etc/app/app.conf", "state": "touch"}),
    "a line of its file": (lineinfile.lineinfile, {"path": "{}/etc/app/app.conf", "line": "x"}),
    "a block in its file": (blockinfile.blockinfile, {"path": "{}/etc/app/app.conf", "block": "x"}),
    "an option in its file": (
        ini_file.ini_file, {"path": "{}/etc/app/a.ini", "section": "s", "option": "o", "value": "v", "create": False}),
    "a text in its file": (replace.replace, {"path": "{}/etc/app/app.conf", "regexp": "a", "replace": "b"}),
    "the mode of its file": (file.file, {"path": "{}/etc/app/app.conf", "mode": "0600"}),
    "a link to its file": (file.file, {"path": "{}/link", "src": "{}/etc/app/app.conf", "state": "link"}),
}  # fmt: skip


def change(tmp_path: Path, pending: bool, check: bool = True) -> Change:
    view = View()
    if pending:
        view.overlay["package", "dpkg"] = {"packages": {}}
    return Change(view, Journal("run", root=str(tmp_path / "journal")), check=check)


def done(task: tuple[Any, dict[str, Any]], tmp_path: Path, where: Change) -> bool:
    module, arguments = task
    named = {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in arguments.items()}
    result = module(where, **host_signature(module.__name__).coerce(named, None))
    return bool(result.get("changed", where.changed))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_check_foresees_a_change(task: tuple[Any, dict[str, Any]], tmp_path: Path) -> None:
    assert done(task, tmp_path, change(tmp_path, pending=True))
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_without_a_package_to_come_it_is_refused(task: Any, check: bool, tmp_path: Path) -> None:
    with pytest.raises(ModuleFailure):
        done(task, tmp_path, change(tmp_path, pending=False, check=check))
