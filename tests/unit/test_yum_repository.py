"""yum_repository's passwords: in the file, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wxops.agent.change import Change, View
from wxops.agent.journal import Journal
from wxops.agent.modules.yum_repository import yum_repository


def test_no_password_is_in_a_diff_or_shown_by_a_rollback(tmp_path: Path) -> None:
    (tmp_path / "ours.repo").write_text("[ours]\nname = Ours\nbaseurl = http://a/\npassword=old-word\n")
    given: dict[str, Any] = {"name": "ours", "description": "Ours", "baseurl": ["http://a/"], "reposdir": str(tmp_path),
                             "username": "me", "password": "new-word", "proxy_password": "third-word"}  # fmt: skip
    journal = Journal("run", root=str(tmp_path / "state"))
    change = Change(View(), journal)
    result = yum_repository(change, **given)
    assert change.changed and "new-word" in (tmp_path / "ours.repo").read_text()
    assert "-word" not in str(change.diffs) + str(result) and "username = me" in str(change.diffs)
    assert all(step["hidden"] for step in journal.steps())


def test_a_file_that_goes_takes_its_password_along_unseen(tmp_path: Path) -> None:
    (tmp_path / "ours.repo").write_text("[ours]\npassword=old-word\n")
    journal = Journal("run", root=str(tmp_path / "state"))
    change = Change(View(), journal)
    yum_repository(change, "ours", state="absent", reposdir=str(tmp_path))
    assert change.changed and "old-word" not in str(change.diffs)
    assert all(step["hidden"] for step in journal.steps())
