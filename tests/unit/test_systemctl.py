"""systemd's answers, read."""

from __future__ import annotations

import pytest

from wxops.agent.resources.service import KIND, name_of, scope_of
from wxops.agent.systemctl import is_active, parse_properties, related_names, unit_name

SHOWN = """\
Id=app.service
ExecStart={ path=/bin/sh ; argv[]=/bin/sh -c echo
second line ; pid=0 }
Description={not an Exec key
ActiveState=active
Environment=A=1 B=2
"""


def test_a_command_over_several_lines_is_one_value() -> None:
    assert parse_properties(SHOWN) == {
        "Id": "app.service",
        "ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh -c echo\nsecond line ; pid=0 }",
        "Description": "{not an Exec key",
        "ActiveState": "active",
        "Environment": "A=1 B=2",
    }


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("cron", "cron.service"),
        ("a.timer", "a.timer"),
        ("getty@tty1", "getty@tty1.service"),
        ("app.v2", "app.v2.service"),
    ],
)
def test_a_name_without_a_type_is_a_service(name: str, unit: str) -> None:
    assert unit_name(name) == unit


@pytest.mark.parametrize("state", ["active", "activating", "reloading"])
def test_a_unit_that_is_starting_counts_as_running(state: str) -> None:
    assert is_active({"ActiveState": state}) and not is_active({"ActiveState": "failed"})


def test_units_that_are_enabled_together_are_related(tmp_path: object) -> None:
    path = f"{tmp_path}/app.service"
    with open(path, "w") as file:
        file.write("[Install]\nWantedBy=multi-user.target\nAlso=app.socket\nAlias=other.service\n")
    names = related_names("app.service", {"Names": "app.service app2.service", "FragmentPath": path})
    assert names == {"app.service", "app2.service", "app.socket", "other.service"}


@pytest.mark.parametrize(("scope", "name"), [("system", "a.service"), ("user", "user/a.service")])
def test_a_name_tells_whose_manager_a_unit_is_of(scope: str, name: str) -> None:
    assert name_of(scope, "a.service") == name and scope_of(name) == (scope, "a.service")


@pytest.mark.parametrize(
    ("now", "wanted", "same"),
    [
        ({"active": True, "enabled": False}, {"active": True}, True),
        ({"active": True, "enabled": False}, {"enabled": True}, False),
        ({"active": True, "enabled": None}, {"enabled": True}, True),  # static: needs no enabling
        ({"active": False, "status": {"ActiveState": "deactivating"}}, {"active": False}, False),
    ],
)
def test_a_unit_is_as_wanted_or_not(now: dict[str, object], wanted: dict[str, object], same: bool) -> None:
    assert KIND.same(now, wanted) == same
