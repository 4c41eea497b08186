"""Account databases: lines go back where they were, whatever others did meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wxops.agent.accounts.databases import Accounts, editing
from wxops.agent.accounts.lines import lines_of, put_lines_back
from wxops.agent.accounts.shadow import looks_hashed, wanted_dates, wanted_password
from wxops.agent.resources.user import KIND as USER

FILES = {
    "passwd": "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
    "shadow": "root:*:1::::::\nann:$6$secret:19000:0:99999:7:::\nbob:!:19000:0:99999:7:::\n",
    "group": "root:x:0:\nann:x:1000:\nbob:x:1001:\nsudo:x:27:ann,bob\ndocker:x:99:bob,ann\n",
    "gshadow": "root:*::\nann:!::\nbob:!::\nsudo:*::ann,bob\ndocker:!:bob:bob,ann\n",
    "subuid": "ann:100000:65536\nbob:165536:65536\nann:900000:10\n",
    "subgid": "ann:100000:65536\nbob:165536:65536\n",
}  # fmt: skip


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "shadow").chmod(0o640)
    return tmp_path


def remove(etc: Path, name: str) -> None:
    """As userdel does it."""
    for file in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
        lines = [line for line in (etc / file).read_text().splitlines() if not line.startswith(name + ":")]
        if file in ("group", "gshadow"):
            lines = [re.sub(rf"(?<=[:,]){name}(,|$)|,{name}$", "", line) for line in lines]
        (etc / file).write_text("".join(line + "\n" for line in lines))


def contents(etc: Path) -> dict[str, str]:
    return {name: (etc / name).read_text() for name in FILES}


def test_a_removed_user_comes_back_line_by_line_and_member_by_member(etc: Path) -> None:
    saved = lines_of(Accounts(str(etc)), "ann")
    remove(etc, "ann")
    with editing(str(etc)) as accounts:
        put_lines_back(accounts, "ann", saved)
    assert contents(etc) == FILES
    assert (etc / "shadow").stat().st_mode & 0o777 == 0o640


def test_a_new_user_goes_with_group_and_memberships(etc: Path) -> None:
    before = {**FILES}
    saved = lines_of(Accounts(str(etc)), "new")
    for file, line in {"passwd": "new:x:9:9::/n:/bin/sh", "shadow": "new:!:1::::::", "group": "new:x:9:",
                       "gshadow": "new:!::", "subuid": "new:1:2", "subgid": "new:1:2"}.items():  # fmt: skip
        (etc / file).write_text((etc / file).read_text() + line + "\n")
    (etc / "group").write_text((etc / "group").read_text().replace("sudo:x:27:ann,bob", "sudo:x:27:ann,bob,new"))
    with editing(str(etc)) as accounts:
        put_lines_back(accounts, "new", saved)
    assert contents(etc) == before


def test_what_others_changed_meanwhile_stays(etc: Path) -> None:
    saved = lines_of(Accounts(str(etc)), "ann")
    remove(etc, "ann")
    (etc / "group").write_text((etc / "group").read_text().replace("sudo:x:27:bob", "sudo:x:27:bob,cleo"))
    with editing(str(etc)) as accounts:
        put_lines_back(accounts, "ann", saved)
    assert "sudo:x:27:bob,cleo,ann\n" in (etc / "group").read_text()


def test_nothing_to_put_back_writes_nothing(etc: Path) -> None:
    saved = lines_of(Accounts(str(etc)), "bob")
    times = {name: (etc / name).stat().st_mtime_ns for name in FILES}
    with editing(str(etc)) as accounts:
        put_lines_back(accounts, "bob", saved)
    assert {name: (etc / name).stat().st_mtime_ns for name in FILES} == times


@pytest.mark.parametrize(
    ("now", "password", "lock", "wanted"),
    [
        ("$6$a$b", None, None, None),
        ("$6$a$b", "$6$a$b", None, None),
        ("!$6$a$b", "$6$a$b", None, None),  # locked, but the same password
        ("$6$a$b", "$6$c$d", None, "$6$c$d"),
        ("$6$a$b", None, True, "!$6$a$b"),
        ("!$6$a$b", None, True, None),
        ("!$6$a$b", None, False, "$6$a$b"),
        ("!", None, False, None),  # unlocked, it would be an empty password
        ("$6$a$b", "$6$c$d", True, "!$6$c$d"),
        ("!", "*", None, "*"),
    ],
)
def test_what_a_password_and_a_lock_come_to(
    now: str, password: str | None, lock: bool | None, wanted: str | None
) -> None:
    assert wanted_password(now, password, lock).get("password") == wanted


def test_dates_are_days_and_a_negative_one_is_none() -> None:
    assert wanted_dates(expire=19000.0, min=-1, max=None) == {"expire": "19000", "min": ""}


@pytest.mark.parametrize(
    ("password", "is_hash"),
    [("*", True), ("!", True), ("secret", False), ("$6$salt$" + "x" * 86, True), ("$6$salt$short", False),
     ("$y$j9T$salt$" + "a" * 43, True), ("$6$sa:t$" + "x" * 85 + ":", False)],
)  # fmt: skip
def test_a_clear_text_password_is_noticed(password: str, is_hash: bool) -> None:
    assert looks_hashed(password) == is_hash


def test_a_hash_is_in_no_diff_and_no_fingerprint() -> None:
    before = {"exists": True, "uid": 1, "password": "$6$old$hash"}
    after = {"exists": True, "uid": 1, "password": "$6$new$hash"}
    shown = str(USER.diff("ann", before, after)) + str(USER.fingerprint(after))
    assert "hash" not in shown and "password: (changed)" in shown
