"""`package` hands its arguments to the module of the host's manager, and names those that it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.package import package


@pytest.mark.parametrize(
    ("manager", "arguments", "strange"),
    [("apt", {"enablerepo": ["extra"], "exclude": ["x"]}, "enablerepo, exclude"), ("dnf", {"purge": True}, "purge")],
)
def test_an_argument_of_another_manager_is_named(
    manager: str, arguments: dict[str, object], strange: str, tmp_path: Path
) -> None:
    change = Change(View(), Journal("1", root=str(tmp_path)))
    with pytest.raises(ModuleFailure, match=rf"Unsupported parameters for \({manager}\) module: {strange}$"):
        package(change, ["rsync"], use=manager, **arguments)  # type: ignore[arg-type]
    assert not change.changed
