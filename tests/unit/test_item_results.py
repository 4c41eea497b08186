"""What is a loop's result, and what only looks like one: dnf returns `results` as well."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.engine.judging import item_results, registered

ITEM = {"changed": True, "ansible_loop_var": "item", "item": 1}


@pytest.mark.parametrize(
    ("result", "items"),
    [
        ({"results": [ITEM]}, [ITEM]),
        ({"results": ["Installed: wxlib-1.0-1.noarch"], "changed": True}, []),
        ({"results": [{"name": "wxlib", "version": "1.0"}]}, []),
        ({"results": []}, []),
        ({"changed": True}, []),
        ({"results": "text"}, []),
    ],
)
def test_only_items_of_a_loop_are_items(result: dict[str, Any], items: list[Any]) -> None:
    assert item_results(result) == items


def test_what_is_registered_of_packages_is_left_as_it_is() -> None:
    package = {"name": "wxlib", "version": "1.0"}
    kept = registered({"changed": False, "results": [package]}, "dnf")
    assert kept["results"] == [package]
    assert registered({"results": [ITEM]}, "copy")["results"][0]["failed"] is False
