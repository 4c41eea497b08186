"""Host patterns: how they are split and which of their names are mistakes. What they select: test_inventory_cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.errors import InputError
from wxops.playbook import patterns
from wxops.playbook.inventory import Inventory


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "hosts.ini"
    path.write_text("[gpu]\ngpu[1:4]\n[edge]\nedge1\ngpu2\n[nobody]\n")
    return Inventory.load([str(path)])


def names(inventory: Inventory, pattern: str, limit: str | None = None) -> list[str]:
    return [host.name for host in inventory.select(pattern, limit)]


@pytest.mark.parametrize(
    ("pattern", "terms"),
    [
        ("a", ["a"]),
        ("a:b:!c:&d", ["a", "b", "!c", "&d"]),
        ("a, b ,, c", ["a", "b", "c"]),
        ("a:b,c", ["a:b", "c"]),
        ("a b", ["a", "b"]),
        ("gpu[1:3]:!gpu[2]", ["gpu[1:3]", "!gpu[2]"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("host:22", ["host:22"]),
        ("~web[0-9]+\\.example", ["~web[0-9]+\\.example"]),
        (["a", "b:c"], ["a", "b", "c"]),
        ("", []),
    ],
)
def test_a_pattern_is_split_where_ansible_splits_it(pattern: str | list[str], terms: list[str]) -> None:
    assert patterns.split(pattern) == terms


@pytest.mark.parametrize("limit", ["gpuu", "gpu:edg", "gpu:!edg", "gpu,&edge9", "gpu9*", "~x\\d", "gpu9[0]"])
def test_a_limit_that_names_nothing_is_an_error(inventory: Inventory, limit: str) -> None:
    with pytest.raises(InputError, match=r"--limit: .* matches no host and no group"):
        inventory.select("all", limit)


def test_the_error_has_the_nearest_name(inventory: Inventory) -> None:
    with pytest.raises(InputError, match="did you mean 'edge'"):
        inventory.select("all", "gpu:!edg")


def test_an_empty_group_in_a_limit_is_no_error(inventory: Inventory) -> None:
    assert names(inventory, "all", "nobody") == []


def test_a_hosts_pattern_tells_its_unknown_names_and_selects_the_rest(inventory: Inventory) -> None:
    assert inventory.unmatched("gpu:nope:!edg:nobody:localhost:gpu[0]") == ["nope", "!edg"]
    assert names(inventory, "edge:nope") == ["edge1", "gpu2"]


def test_a_file_limits_to_the_names_in_it(inventory: Inventory, tmp_path: Path) -> None:
    path = tmp_path / "retry"
    path.write_text("gpu3\n\n  gpu1\n")
    assert names(inventory, "all", f"@{path}") == ["gpu1", "gpu3"]
    assert names(inventory, "all", f"@{path},edge1") == ["gpu1", "gpu3", "edge1"]


def test_a_missing_limit_file_is_named(inventory: Inventory) -> None:
    with pytest.raises(InputError, match="/no/such/file: "):
        inventory.select("all", "@/no/such/file")


def test_a_subscript_past_the_end_is_an_error(inventory: Inventory) -> None:
    with pytest.raises(InputError, match=r"'gpu\[4\]' counts past the 4 hosts"):
        inventory.select("gpu[4]")


def test_a_bad_regular_expression_is_an_error(inventory: Inventory) -> None:
    with pytest.raises(InputError, match="regular expression"):
        inventory.select("~gpu(")


def test_each_host_is_selected_once(inventory: Inventory) -> None:
    assert names(inventory, "gpu2:edge:gpu") == ["gpu2", "edge1", "gpu1", "gpu3", "gpu4"]
