"""The host's part of `synchronize`: says where dest is, keeps what arrives apart, and puts it in place."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import state_directory
from wxops.agent.resources import kind_named
from wxops.agent.text_file import make_directories

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change
    from wxops.agent.resources import State

DELETED, NEW = "*deleting", "+"


def synchronize(
    change: Change,
    step: Literal["look", "stage", "predict", "apply", "drop"],
    dest: str,
    staging: Optional[str] = None,
    items: Optional[List[List[str]]] = None,
    single: bool = False,
) -> Dict[str, Any]:
    """One step. items: [flags, path below dest] as `rsync --itemize-changes` writes them; single: dest is the file."""
    if step == "look":
        place = change.expand(dest)
        return {"dest": place, "type": change.file(place, follow=True)["type"], "changed": False}
    if step == "stage":
        return {"staging": _private_directory(), "changed": False}
    if step == "drop":
        shutil.rmtree(staging or "", ignore_errors=True)
        return {"changed": False}
    top = change.real(dest)
    names = [(flags, top if single else os.path.normpath(os.path.join(top, name)), name) for flags, name in items or []]
    if step == "predict":
        change.changed = bool(names)
        change.diffs += [{"prepared": "%s %s\n" % (flags, path)} for flags, path, _ in names]
        return {}
    if not single:
        make_directories(change, top)
    later = []
    for flags, path, name in names:
        source = os.path.join(staging or "", os.path.basename(dest) if single else name)
        if flags == DELETED:
            change.set("file", path, {"type": "absent"})
            continue
        found = _staged(source)
        change.set("file", path, _wanted(change, path, flags, found))
        if found["type"] in ("directory", "link"):
            later.append((path, source.rstrip("/")))
    for path, source in reversed(later):  # what is put into a directory moves its time
        change.set("times", path, {"mtime_ns": os.lstat(source).st_mtime_ns, "atime_ns": os.lstat(path).st_atime_ns})
    return {}


def _private_directory() -> str:
    """Beside the journal; what a killed run left there is cleared away. rsync runs as the same user."""
    home = os.path.join(state_directory(), "arriving")
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home, 0o700)
    return tempfile.mkdtemp(dir=home)


def _staged(source: str) -> State:
    found = kind_named("file").read(source.rstrip("/"), None)  # type: ignore[arg-type]  # needs no other state
    if found["type"] == "absent":
        raise ModuleFailure("rsync did not bring %s: has the source changed meanwhile?" % os.path.basename(source))
    return found


def _wanted(change: Change, path: str, flags: str, found: State) -> State:
    """Of what is there already only what rsync says that it changes: `YXcstpoguax`."""
    now = change.file(path)
    if NEW in flags or now["type"] != found["type"]:
        return found
    wanted: State = {"type": found["type"]}
    if found["type"] == "link":
        wanted["target"] = found["target"]
    if found["type"] == "file" and (flags[0] in "<>c" or flags[2] == "c" or flags[3] == "s"):
        wanted["content"] = found["content"]
    if found["type"] == "file" and flags[4] in "tT":
        wanted["mtime_ns"] = found["mtime_ns"]
    for position, key in ((5, "mode"), (6, "uid"), (7, "gid")):
        if flags[position] != "." and not (key == "mode" and found["type"] == "link"):
            wanted[key] = found[key]
    return wanted
