"""The tables of compat.yaml: typed, each with a source, and a row that cannot be read is named by its key."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.unit.audit_cases import cases
from wxops.audit.rule import rule_named
from wxops.audit.tables import FILE, Row, Tables, last_day, read
from wxops.errors import InputError


def test_every_table_names_its_source() -> None:
    assert [key for key, source in Tables.load().sources.items() if not source] == []


def test_a_row_without_a_status_has_its_tables() -> None:
    by_branch = {str(row.branch): row for row in Tables.load().driver_branches}
    assert by_branch["580"].certain
    assert not by_branch["615"].certain
    assert not any(row.certain for row in Tables.load().os_lifecycle)


NOT_BY_A_ROW = {
    "container.image-runs": "what the image asks for is in the image",
    "container.keeps-gpus": "that the links are missing is on the host",
    "container.no-cgroups": "as is the setting",
    "driver.answers": "the error is the driver's own; rows only explain it",
    "driver.library-matches-module": "both versions are on the host",
    "driver.module-loaded": "there is no module",
    "driver.open-modules": "Volta, which NVIDIA's guide names",
    "fabric.manager": "it does not run",
    "health.all-answer": "the bus has more GPUs than the driver tells of",
    "health.gpu-lost": "the driver says so",
    "health.gsp-firmware": "both versions are the GPU's own",
    "host.alloc-conf": "a key that PyTorch's source does not have",
    "memory.recovery-action": "the driver asks for it",
    "memory.rows-remapped": "the GPU tells of its rows",
    "pcie.full-width": "the GPU tells of both widths",
    "serving.engine-runs-gpu": "what an engine runs on is in models.yaml",
    "serving.precision": "the engine has no such precision",
    "torch.has-gpu-code": "the build itself says for which GPUs it has code",
    "xid.none-serious": "a code that no row knows",
}
"""Rules that fail a host by what is on it, not by a figure of a table: all others warn where their row is unsure."""


def doubted(value: Any) -> Any:
    """A table of which nothing was verified."""
    if isinstance(value, Row):
        return msgspec.structs.replace(value, status="unverified")
    return tuple(map(doubted, value)) if isinstance(value, tuple) else value


def test_a_row_that_is_not_verified_fails_no_host() -> None:
    tables = Tables.load()
    names = {field.name for field in msgspec.structs.fields(Tables)}
    unsure = msgspec.structs.replace(tables, **{name: doubted(getattr(tables, name)) for name in names})
    failing = set()
    for case in cases():
        rule = rule_named(case.rule)
        if case.verdict != "fail" or "compat.yaml" not in rule.source:
            continue
        if any(found.verdict == "fail" for found in case.findings(rule, unsure)):
            failing.add(rule.id)
    assert failing == set(NOT_BY_A_ROW)


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
