"""A large file whose copy was cut short goes on from where it is, whatever else may lie there by now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wxops.agent.change import Link
from wxops.agent.failure import Stopped
from wxops.agent.offered import RESUMED, OfferedContent
from wxops.agent.place import beside, place

PIECE = 1 << 20
DATA = os.urandom(RESUMED + 5)


class CutLink(Link):
    """A controller that has DATA; the link to it ends after that many bytes."""

    def __init__(self, until: int = len(DATA)) -> None:
        self.until, self.asked = until, list[int]()

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        self.asked.append(start)
        for at in range(start, len(DATA), PIECE):
            if at + PIECE > self.until and self.until < len(DATA):
                raise Stopped("the link ended")
            yield DATA[at : at + PIECE]


def copy(link: CutLink, target: Path, data: bytes = DATA) -> None:
    content = OfferedContent(link, "x", hashlib.sha256(data).hexdigest(), len(data))
    with place(str(target)) as there:
        there.put_file({"type": "file", "content": content, "mode": 0o640})


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A target, with what a copy left that was cut after three pieces."""
    target = tmp_path / "big"
    with pytest.raises(Stopped):
        copy(CutLink(3 * PIECE), target)
    assert Path(beside(str(target))).stat().st_size == 3 * PIECE and not target.exists()
    return target


def test_only_the_rest_is_asked_for(cut: Path) -> None:
    link = CutLink()
    copy(link, cut)
    assert link.asked == [3 * PIECE] and cut.read_bytes() == DATA and cut.stat().st_mode & 0o777 == 0o640
    assert os.listdir(cut.parent) == ["big"]


def test_what_was_of_other_bytes_is_sent_whole(cut: Path) -> None:
    Path(beside(str(cut))).write_bytes(b"another file" * PIECE)
    link = CutLink()
    copy(link, cut)
    assert link.asked[-1] == 0 and cut.read_bytes() == DATA


def test_what_somebody_else_may_have_open_is_not_taken(cut: Path) -> None:
    draft = Path(beside(str(cut)))
    draft.chmod(0o644)
    link = CutLink()
    copy(link, cut)
    assert link.asked == [0] and cut.read_bytes() == DATA


@pytest.mark.parametrize("kind", ["link", "second name", "fifo"])
def test_what_is_no_file_of_our_own_is_not_written_to(cut: Path, tmp_path: Path, kind: str) -> None:
    draft, victim = Path(beside(str(cut))), tmp_path / "victim"
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    draft.unlink()
    if kind == "link":
        draft.symlink_to(victim)
    elif kind == "second name":
        os.link(victim, draft)
    else:
        os.mkfifo(draft, 0o600)
    link = CutLink()
    copy(link, cut)
    assert link.asked == [0] and cut.read_bytes() == DATA and victim.read_bytes() == b"precious"


def test_a_small_file_leaves_nothing_behind(tmp_path: Path) -> None:
    class Gone(Link):
        def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
            yield b"some"
            raise Stopped("the link ended")

    content = OfferedContent(Gone(), "x", "0" * 64, 1000)
    with pytest.raises(Stopped), place(str(tmp_path / "small")) as there:
        there.put_file({"type": "file", "content": content})
    assert os.listdir(tmp_path) == []
