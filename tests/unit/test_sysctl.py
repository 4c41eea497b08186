"""Kernel parameters: names, values and the file that sets them."""

from __future__ import annotations

import pytest

from wxops.agent.modules.sysctl import _value, _with
from wxops.agent.resources.sysctl import path_of, shown


@pytest.mark.parametrize(
    ("parameter", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/7.forwarding", "net/ipv4/conf/eth0.7/forwarding"),
        ("net/ipv4/conf/eth0.7/forwarding", "net/ipv4/conf/eth0.7/forwarding"),
    ],
)
def test_a_parameter_is_a_path_by_its_first_separator(parameter: str, path: str) -> None:
    assert path_of(parameter) == path
    assert path_of(shown(path)) == path


@pytest.mark.parametrize(
    ("given", "value"), [("yes", "1"), ("False", "0"), ("4096\t87380  6291456", "4096 87380 6291456"), (" 5 ", "5")]
)
def test_a_value_is_written_as_the_kernel_has_it(given: str, value: str) -> None:
    assert _value(given) == value


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("", "1", "a.b=1\n"),
        ("# c\nx.y = 3\n", "1", "# c\nx.y = 3\na.b=1\n"),
        ("a.b = 1\n", "1", "a.b = 1\n"),  # right already: left as it is written
        ("a.b = 0\nx.y=2\na.b=5\n", "1", "a.b=1\nx.y=2\n"),
        ("a/b=0\n", "1", "a.b=1\n"),
        ("-a.b=0\n", "1", "a.b=1\n"),
        ("x.y=2\na.b=1\n", None, "x.y=2\n"),
        ("#a.b=1\n", None, "#a.b=1\n"),
        ("x.y=2", None, "x.y=2"),
    ],
)
def test_a_file_sets_a_parameter_once_or_not_at_all(before: str, value: str | None, after: str) -> None:
    assert _with(before, "a.b", value) == after
