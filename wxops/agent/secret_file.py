"""Files whose content nobody may see: written and removed through the one door, shown in no diff, nor on rollback."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wxops.agent.backup import back_up
from wxops.agent.content import Content

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    from wxops.agent.change import Change


def put_secret(change: Change, path: str, data: bytes) -> None:
    """One that is there keeps its mode; a new one is 0600 from its first byte on."""
    place = change.real(path)
    change.parent_must_exist(place)
    new = {} if change.file(place)["type"] == "file" else {"mode": 0o600}
    _set(change, place, dict(new, type="file", content=Content(data)), "%s: a new private key\n" % path)


def remove(change: Change, path: str, backup: bool, secret: bool = True) -> Dict[str, Any]:
    """Take it away; the path of the copy when there is one."""
    place = change.place(path)
    if change.file(place)["type"] == "absent":
        return {}
    copy = (back_up_secret(change, path) if secret else back_up(change, path)) if backup else None
    if secret:
        _set(change, place, {"type": "absent"}, "%s: removed\n" % path)
    else:
        change.set("file", place, {"type": "absent"})
    return {"backup_file": copy} if copy is not None else {}


def back_up_secret(change: Change, path: str) -> Optional[str]:
    """A copy beside it, with the same mode; the path of it, None in check mode."""
    with hidden(change):
        return back_up(change, path)


def _set(change: Change, place: str, wanted: Dict[str, Any], shown: str) -> None:
    """The journal keeps the old content, as 0700 as it is; a rollback is told to show nothing of it."""
    with hidden(change):
        if change.set("file", place, wanted):
            change.diffs[-1] = {"prepared": shown}


@contextlib.contextmanager
def hidden(change: Change) -> Iterator[None]:
    """What is changed meanwhile is shown by no rollback."""
    before, change.hidden = change.hidden, True
    try:
        yield
    finally:
        change.hidden = before
