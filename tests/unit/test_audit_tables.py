"""The tables of compat.yaml: typed, each with a source, and a row that cannot be read is named by its key."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from wxops.audit.tables import FILE, Tables, last_day, read
from wxops.errors import InputError


def test_every_table_names_its_source() -> None:
    assert [key for key, source in Tables.load().sources.items() if not source] == []


def test_a_row_without_a_status_has_its_tables() -> None:
    by_branch = {str(row.branch): row for row in Tables.load().driver_branches}
    assert by_branch["580"].certain
    assert not by_branch["615"].certain
    assert not any(row.certain for row in Tables.load().os_lifecycle)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (
            ("cuda_minor_version_compat", "rows", 0, "min_driver_linux"),
            580,
            r"cuda_minor_version_compat\.rows\[0\]\.min_driver_linux",
        ),
        (
            ("pytorch", "rows", 2, "builds", 1, "cuda"),
            "new",
            r"pytorch\.rows\[2\]\.builds\[1\]\.cuda: 'new' is no version",
        ),
        (
            ("driver_branches", "rows", 1, "status"),
            "sure",
            r"driver_branches\.rows\[1\]\.status: Invalid enum value 'sure'",
        ),
        (("forward_compat", "rows", "cuda-compat-13-2"), ["maybe"], r"forward_compat\.rows"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(
    tmp_path: Path, keys: tuple[str | int, ...], value: object, said: str
) -> None:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    here = raw
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = value
    (tmp_path / "compat.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read(tmp_path / "compat.yaml")


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    del raw["driver_branches"]
    (tmp_path / "compat.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(InputError, match=r"driver_branches\.rows: driver_branches is not there"):
        read(tmp_path / "compat.yaml")


def test_a_month_ends_on_its_last_day() -> None:
    assert last_day("2028-02") == date(2028, 2, 29)
    assert last_day("2026-12-22") == date(2026, 12, 22)
