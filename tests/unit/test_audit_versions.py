"""Versions of drivers, toolkits and libraries compare as numbers."""

from __future__ import annotations

import pytest

from wxops.audit.versions import Version, version


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("570.26", "570.124.06"),
        ("525.60.13", "525.125.06"),
        ("9.10.2.21", "9.17.0.29"),
        ("2.9", "2.13.0+cu130"),
        ("12.9", "13.0"),
        ("8.9", "9.0"),
        ("1.17.7", "1.17.8-1"),
        ("580", "580.65.06"),
    ],
)
def test_an_older_version_is_less(older: str, newer: str) -> None:
    assert Version(older) < Version(newer)
    assert not Version(newer) < Version(older)


@pytest.mark.parametrize(
    ("one", "other"), [("13.0", "13"), ("2.14.0+cu130", "2.14"), ("v1.2", "1.2.0"), ("9.0", "9.0.0")]
)
def test_zeros_at_the_end_and_what_follows_the_numbers_do_not_count(one: str, other: str) -> None:
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))


@pytest.mark.parametrize(
    ("release", "line", "belongs"),
    [
        ("2.13.0+cu130", "2.13", True),
        ("2.1.2", "2.13", False),
        ("2.13.1", "2.1", False),
        ("13.0", "13", True),
        ("2.14.1", "2.14.0", False),
        ("12.9.1", "12", True),
    ],
)
def test_a_release_belongs_to_its_line(release: str, line: str, belongs: bool) -> None:
    assert Version(release).starts_with(Version(line)) is belongs


def test_a_version_tells_its_first_numbers_and_keeps_its_text() -> None:
    found = Version("2.13.0+cu130")
    assert (found.first(2), found.first(3), found.major, found.minor, str(found)) == (
        "2.13",
        "2.13.0",
        2,
        13,
        "2.13.0+cu130",
    )
    assert Version("13").first(2) == "13.0"


def test_what_starts_with_no_number_is_no_version() -> None:
    with pytest.raises(ValueError, match="is no version"):
        Version("unknown")
    assert version("unknown") is None
    assert version("") is None
    assert version(None) is None
