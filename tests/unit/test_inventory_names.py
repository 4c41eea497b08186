"""Host names with ports and ranges, as ansible-core reads them."""

from __future__ import annotations

import pytest

from wxops.playbook.inventory_names import expand, split_port


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("web1", ("web1", None)),
        ("web1:2222", ("web1", 2222)),
        ("web[1:3].example.com:22", ("web[1:3].example.com", 22)),
        ("10.0.0.1:22", ("10.0.0.1", 22)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]:22", ("2001:db8::1", 22)),
        ("2001:db8::[1:f]", ("2001:db8::[1:f]", None)),
        ("::ffff:192.0.2.3", ("::ffff:192.0.2.3", None)),
        ("节点_1", ("节点_1", None)),
        ("a:b", None),
        ("a:b:22", None),
        ("odd_:22", None),
        ("-a", None),
        ("a..b", None),
        ("", None),
        ("fe80::1%eth0", None),
    ],
)
def test_a_name_is_told_from_its_port(text: str, parsed: tuple[str, int | None] | None) -> None:
    assert split_port(text) == parsed


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[01:10:4]", ["web01", "web05", "web09"]),
        ("web[:2]", ["web0", "web1", "web2"]),
        ("[a:c]", ["a", "b", "c"]),
        ("[A:E:2]-x", ["A-x", "C-x", "E-x"]),
        ("r[1:2]n[08:09]", ["r1n08", "r1n09", "r2n08", "r2n09"]),
        ("no range", ["no range"]),
        ("a:b:c", ["a:b:c"]),
    ],
)
def test_a_range_stands_for_its_names_in_order(text: str, names: list[str]) -> None:
    assert expand(text) == (names, None)
