"""Files, directories and links: their bytes, mode, owner and target, replaced in one atomic step."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from wxops.agent import permission
from wxops.agent.content import SMALL, Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.moving import move_tree
from wxops.agent.names import group_name, user_name
from wxops.agent.place import NODES, TYPES, beside, place, xattrs
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

ABSENT: State = {"type": "absent"}
UNCOMPARED = ("mtime_ns", "xattrs", "kept", "discard")
"""Parts of a state that say how to bring it back, not whether it is so."""


class FileKind(Kind):
    """A path. States: {"type": "absent"}, or type, mode, uid, gid and

    file: content (a Content), mtime_ns; link: target; hard: target (another name of that file); block, char: device.
    Of something that was taken away also: xattrs; kept (where in the journal a directory lies).
    """

    def read(self, name: str, view: View) -> State:
        try:
            found = os.lstat(name)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        kind = TYPES[stat.S_IFMT(found.st_mode)]
        state: State = {"type": kind, "mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}
        if kind == "link":
            state["target"] = os.readlink(name)
        elif kind == "file":
            state.update(content=Content.of_file(name), mtime_ns=found.st_mtime_ns)
        elif kind in ("block", "char"):
            state["device"] = found.st_rdev
        return state

    def same(self, now: State, wanted: State) -> bool:
        if "kept" in wanted:
            return False
        if wanted["type"] == "link" == now["type"]:
            return all(now[key] == wanted[key] for key in ("target", "uid", "gid") if key in wanted)
        for key, value in wanted.items():
            if key == "content":
                if "content" not in now or not value.same(now["content"]):
                    return False
            elif key != "xattrs" and now.get(key) != value:
                return False
        return True

    def write(self, name: str, state: State) -> None:
        if "discard" in state:
            move_tree(name, state["discard"])
        if state["type"] == "absent" and not os.path.lexists(name):
            return
        if state["type"] == "file" and "content" not in state:
            raise ModuleFailure("%s is no file any more, and its content was never changed: nothing keeps it" % name)
        with place(name) as there:
            now, wanted = there.type(), state["type"]
            makes_way = wanted in ("absent", "directory") or now == "directory"  # the rest is renamed over it
            if now not in ("absent", wanted) and (makes_way or "kept" in state):
                there.remove()
            if wanted == "directory" and "kept" not in state:
                there.put_directory(state)
            elif wanted == "link":
                there.put_link(state)
            elif wanted == "hard":
                there.put_hard_link(state["target"])
            elif now == wanted and wanted in NODES:
                there.set_attributes(state)
            elif wanted in NODES:
                there.put_node(state)
            elif wanted == "file" and now == "file" and state["content"].same(Content.of_file(name)):
                there.set_attributes(state)
            elif wanted == "file":
                there.put_file(state)
        if "kept" in state:
            move_tree(state["kept"], name)

    def merged(self, before: State, wanted: State) -> State:
        if wanted["type"] != before["type"]:
            return dict(wanted)
        after = dict(before, **wanted)
        if "content" in wanted and "mtime_ns" not in wanted and not wanted["content"].same(before["content"]):
            after.pop("mtime_ns", None)
            if "uid" not in wanted and not _may_belong_to(before["uid"]):
                after["uid"] = os.geteuid()  # what takes its place in a directory that all may write to is this user's
                after["gid"] = before["gid"] if before["gid"] in os.getgroups() else os.getegid()
        return after

    def predict(self, before: State, after: State) -> State:
        if after["type"] == "absent" or before["type"] == after["type"]:
            return after
        fresh = {"uid": os.geteuid(), "gid": os.getegid(), "mode": 0o777, "fresh": after["type"] == "directory"}
        return dict(fresh, **after)

    def refusal(self, name: str, before: State, after: State) -> Optional[str]:
        return permission.refusal(name, before, after)

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        saved = {key: value for key, value in before.items() if key != "content"}
        content = before.get("content")
        if content is not None and not ("content" in after and content.same(after["content"])):
            if content.size <= SMALL:
                saved["base64"] = base64.b64encode(content.read()).decode()
            else:
                saved["blob"] = journal.keep_content(content)
        if before["type"] in ("file", "directory") and before["type"] != after["type"]:
            saved.update(_attributes_of(name))
        replaced = after["type"] != "directory" or "kept" in after
        if before["type"] == "directory" and replaced and os.listdir(name):
            saved["kept"] = journal.place_for_tree(name)
            after["discard"] = journal.path(saved["kept"])
        return saved

    def load(self, saved: State, journal: Journal) -> State:
        state = {key: value for key, value in saved.items() if key not in ("base64", "blob", "kept")}
        if "base64" in saved:
            state["content"] = Content(base64.b64decode(saved["base64"]))
        elif "blob" in saved:
            state["content"] = Content(path=journal.path(saved["blob"]))
        if "kept" in saved and os.path.lexists(journal.path(saved["kept"])):
            state["kept"] = journal.path(saved["kept"])
        return state

    def irreversible(self, saved: State) -> Optional[str]:
        if saved["type"] == "absent" or _may_belong_to(saved["uid"]):
            return None
        return "it belonged to %s, to whom %s cannot give it back" % (user_name(saved["uid"]), user_name(os.geteuid()))

    def recover(self, name: str) -> None:
        import shutil  # only what a killed run left needs it

        with contextlib.suppress(OSError):
            os.unlink(beside(name))
        shutil.rmtree(beside(name), ignore_errors=True)

    def fingerprint(self, state: State) -> State:
        if state["type"] == "hard":
            return {"type": "file"}  # once made, one name is like the other
        return {
            key: value.sha256 if key == "content" else value
            for key, value in state.items()
            if key not in UNCOMPARED and not (state["type"] == "link" and key == "mode")
        }

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": name, "after_header": name, "before": _describe(before, after),
                "after": _describe(after, before)}  # fmt: skip


KIND = FileKind()


def _describe(state: State, other: State) -> str:
    """Content when it differs, after the attributes that differ."""
    if state["type"] == "absent":
        return ""
    shown = {key: _readable(key, state[key]) for key in ("type", "mode", "uid", "gid", "target")
             if key in state and state[key] != other.get(key) and other["type"] != "absent"}  # fmt: skip
    if other["type"] == "absent" and state["type"] != "file":
        shown = {"type": state["type"], **({"target": state["target"]} if "target" in state else {})}
    text = "".join("%s: %s\n" % pair for pair in shown.items())
    if "content" in state and not ("content" in other and state["content"].same(other["content"])):
        body = state["content"].text()
        text += (
            body if body is not None else "(%d bytes, sha256 %s)\n" % (state["content"].size, state["content"].sha256)
        )
    return text


def _readable(key: str, value: Any) -> str:
    if key == "mode":
        return "%04o" % value
    if key == "uid":
        return user_name(value)
    return group_name(value) if key == "gid" else str(value)


def _attributes_of(name: str) -> State:
    """What is lost with a file that goes, beyond what `read` tells: ACLs, labels, capabilities."""
    found = xattrs(name)
    return {"xattrs": found} if found else {}


def _may_belong_to(uid: int) -> bool:
    """May this user make files that belong to that one? Only root makes those of others."""
    return os.geteuid() in (0, uid)
