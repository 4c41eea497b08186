"""mount_facts: tables read as they stand, the first that names a mount point counts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.facts import mounts
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.mount_facts import mount_facts

TABLE = "# by hand\n\nUUID=ab-12 / ext4 defaults 0 1\nserver:/x /srv/a\\040b nfs4 ro\ntmpfs /tmp tmpfs size=1m 0 0\n"


@pytest.fixture
def fstab(tmp_path: Path) -> str:
    (tmp_path / "fstab").write_text(TABLE)
    (tmp_path / "again").write_text("other /tmp tmpfs rw 0 0\nmore /tmp tmpfs rw 0 0\n")
    return str(tmp_path / "fstab")


def asked(change: Change | None = None, **arguments: Any) -> dict[str, Any]:
    result = mount_facts(change or Change(View(), Journal("none")), **arguments)
    return dict(result["ansible_facts"])


def test_a_table_is_read_as_fstab_is(fstab: str) -> None:
    points = asked(sources=[fstab])["mount_points"]
    assert list(points) == ["/", "/srv/a b", "/tmp"]
    root = points["/"]
    assert (root["device"], root["uuid"], root["dump"], root["passno"]) == ("UUID=ab-12", "ab-12", 0, 1)
    assert root["size_total"] > 0 and root["inode_total"] >= 0
    assert root["ansible_context"] == {"source": fstab, "source_data": "UUID=ab-12 / ext4 defaults 0 1"}
    assert "passno" not in points["/srv/a b"] and points["/srv/a b"]["options"] == "ro"


@pytest.mark.parametrize(
    ("filters", "points"),
    [({"devices": ["*:*"]}, ["/srv/a b"]), ({"fstypes": ["nfs*", "tmpfs"]}, ["/srv/a b", "/tmp"]),
     ({"devices": ["tmpfs"], "fstypes": ["ext4"]}, [])],
)  # fmt: skip
def test_only_what_matches_is_told(fstab: str, filters: dict[str, Any], points: list[str]) -> None:
    assert list(asked(sources=[fstab], **filters)["mount_points"]) == points


def test_the_first_table_counts_and_all_are_told_on_demand(fstab: str) -> None:
    again = fstab.replace("fstab", "again")
    found = asked(sources=[fstab, again], include_aggregate_mounts=True)
    assert found["mount_points"]["/tmp"]["device"] == "tmpfs"
    assert [entry["device"] for entry in found["aggregate_mounts"]][-2:] == ["other", "more"]
    change = Change(View(), Journal("none"))
    assert asked(change, sources=[again, "/no/such/table"])["aggregate_mounts"] == []
    assert "several mounts at one place" in change.warnings[0]


def test_what_is_mounted_is_told_by_the_kernel_and_by_mount_alike() -> None:
    kernel, command = (asked(sources=[source], include_aggregate_mounts=False)["mount_points"]["/proc"]
                       for source in ("dynamic", "mount"))  # fmt: skip
    for entry in (kernel, command):
        assert (entry["device"], entry["fstype"], entry["mount"]) == (kernel["device"], "proc", "/proc")


def test_a_mount_that_hangs_fails_warns_or_is_left_out(fstab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "room", lambda path: time.sleep(30) if path == "/tmp" else {"size_total": 1})
    with pytest.raises(ModuleFailure, match="Timed out getting mount size for mount /tmp"):
        asked(sources=[fstab], timeout=0.3)
    change = Change(View(), Journal("none"))
    points = asked(change, sources=[fstab], timeout=0.3, on_timeout="warn")["mount_points"]
    assert "size_total" not in points["/tmp"] and points["/"]["size_total"] == 1
    assert len(change.warnings) == 1


@pytest.mark.parametrize("arguments", [{"timeout": 0}, {"mount_binary": ["mount"]}, {"sources": [""]}])
def test_nonsense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ModuleFailure):
        asked(**arguments)
