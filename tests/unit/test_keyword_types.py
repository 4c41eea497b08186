"""A keyword with a value that cannot be right is refused where it stands, before a host is touched."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.errors import InputError, Origin
from wxops.playbook.keyword_types import check_type

WHERE = Origin("site.yml", 3, 5)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ignore_errors", "maybe"), ("gather_facts", "maybe"), ("run_once", [1]), ("any_errors_fatal", "x"), ("become", 2),
     ("retries", "x"), ("delay", -1), ("port", "abc"), ("timeout", [1]), ("max_fail_percentage", "x"),
     ("throttle", True),
     ("register", "1a-b"), ("register", ["x"]), ("tags", {"a": "b"}), ("become_user", [1]), ("strategy", {"a": 1})],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"site.yml:3:5: {key} should be"):
        check_type(key, value, WHERE)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ignore_errors", "yes"), ("ignore_errors", True), ("ignore_errors", "{{ x }}"), ("become", None), ("become", 1),
     ("retries", 3), ("retries", "3"), ("delay", 0.5), ("max_fail_percentage", "30%"), ("max_fail_percentage", 30),
     ("register", "größe"), ("register", "_x1"), ("tags", ["a"]), ("tags", "a,b"), ("become_user", 1000), ("port", 22)],
)  # fmt: skip
def test_what_may_be_right_is_taken(key: str, value: Any) -> None:
    check_type(key, value, WHERE)
