"""fstab and mountinfo: entries found and set, the rest left as it is written."""

from __future__ import annotations

import pytest

from wxops.agent import mountinfo
from wxops.agent.fstab import with_entry, without_entry
from wxops.agent.mountinfo import Mount, shown_directory

FSTAB = (
    "# by hand\nUUID=1 /  ext4 errors=remount-ro 0 1\n/dev/sdb1 none swap sw 0 0\n\n/dev/sdc /data\\040x xfs defaults\n"
)
DATA = {"src": "/dev/sdc", "name": "/data x", "fstype": "xfs", "opts": "defaults", "dump": "0", "passno": "0"}
INFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,seclabel,errors=remount-ro
40 22 0:30 / /srv/t\\040x rw,nosuid - tmpfs tmpfs rw,size=1024k
41 22 8:1 /home/a /srv/b ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro
42 22 0:30 / /srv/again rw,nosuid - tmpfs tmpfs rw,size=1024k
"""


def test_an_entry_that_is_right_stays_as_it_is_written() -> None:
    assert with_entry(FSTAB, DATA) == FSTAB


def test_an_entry_is_replaced_in_its_place() -> None:
    after = with_entry(FSTAB, {**DATA, "opts": "noatime", "passno": "2"})
    assert after == FSTAB.replace("/dev/sdc /data\\040x xfs defaults", "/dev/sdc /data\\040x xfs noatime 0 2")


@pytest.mark.parametrize(("source", "added"), [("/dev/sdb1", False), ("/dev/sdd1", True)])
def test_swap_is_found_by_its_source(source: str, added: bool) -> None:
    swap = {"src": source, "name": "none", "fstype": "swap", "opts": "sw", "dump": "0", "passno": "0"}
    assert (with_entry(FSTAB, swap) != FSTAB) == added
    assert without_entry(with_entry("", swap), "none", source) == ""


def test_a_last_line_without_a_newline_gets_one_only_when_something_changes() -> None:
    text = "/dev/sdc /data\\040x xfs defaults 0 0"
    assert with_entry(text, DATA) == text
    assert with_entry(text, {**DATA, "name": "/x"}) == text + "\n/dev/sdc /x xfs defaults 0 0\n"


def test_only_the_entry_goes() -> None:
    assert without_entry(FSTAB, "/data x", None) == "".join(FSTAB.splitlines(True)[:-1])
    assert without_entry(FSTAB, "/nowhere", None) == FSTAB


def test_a_mount_is_told_as_mount_takes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(mountinfo, "read", lambda: [Mount(line) for line in INFO.splitlines()])
    root = mountinfo.describe("/")
    assert (root["layers"], root["bind"], root["options"]) == (1, False, "rw,relatime,errors=remount-ro")
    bind = mountinfo.describe("/srv/b")
    assert (bind["source"], bind["bind"], bind["options"]) == ("/home/a", True, "ro,relatime,errors=remount-ro")
    assert mountinfo.describe("/srv/t x")["bind"] is False
    assert mountinfo.describe("/srv/again")["source"] == "/srv/t x"
    assert mountinfo.describe("/nothing") == {"layers": 0}


def test_a_directory_that_is_mounted_nowhere_else_has_no_path() -> None:
    hidden = Mount("9 1 8:9 /only /mnt rw - ext4 /dev/sdx rw")
    assert shown_directory(hidden, [hidden]) is None
