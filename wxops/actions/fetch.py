"""Files of hosts brought to the controller."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path as LocalPath
from typing import TYPE_CHECKING, Any

from wxops.actions import Call, Result
from wxops.actions._content import CHUNK, local_sha1
from wxops.errors import InputError, TaskFailed

if TYPE_CHECKING:
    from wxops.agent.arguments import Path

NEEDS = "src and dest are required"


def fetch(
    call: Call,
    src: Path,
    dest: str,
    flat: bool = False,
    fail_on_missing: bool = True,
    validate_checksum: bool = True,
) -> Result:
    """Bring a file of the host's to the controller. In check mode it says whether it would.

    src: the file on the host.
    dest: the directory for DEST/HOST/SRC; relative to the playbook.
    flat: dest is the file itself, or with / at its end the directory for it.
    fail_on_missing: fail when the host has no such file.
    validate_checksum: compare what came with what the host sent.
    """
    if src.startswith("~") or "$" in src:
        src = _on_host(call, src)
    target = _target(call, src, dest, flat)
    have = local_sha1(target)
    made = [] if call.check else _make_directories(target.parent)
    call.receive(target)
    try:
        sent = call.run("fetch", {"src": src, "_have": have})
    except TaskFailed as failure:
        return _missing(failure, src, fail_on_missing)
    finally:
        _remove_if_empty(made)
    result: Result = {"file": src, "dest": str(target), "checksum": sent["checksum"], "changed": sent["changed"]}
    if not sent["changed"] or call.check:
        return result
    return {**result, **_received(target, sent["checksum"], validate_checksum)}


def _on_host(call: Call, path: str) -> str:
    """What the host makes of `~` and $VARIABLES; only then can it be a part of the file's place here."""
    found = call.run("stat", {"path": path, "get_checksum": False, "get_mime": False, "get_attributes": False})
    return str(found["stat"].get("path", path))


def _target(call: Call, src: str, dest: str, flat: bool) -> LocalPath:
    """Where the file goes: as Ansible's, and never out of `dest`."""
    base = os.path.expanduser(dest)
    if not os.path.isabs(base):
        base = os.path.join(call.templar.search_path[-1], base)  # the playbook's directory
    if not flat:
        target = os.path.normpath(os.path.join(base, call.host, src.lstrip("/")))
        if not _inside(target, os.path.join(base, call.host)):
            raise InputError(f"{src} would lead out of {dest}", fix="name the file without ..")
        return LocalPath(target)
    if not dest.endswith("/"):
        if os.path.isdir(base):
            raise InputError("dest is an existing directory", where=base, fix="end it with / to fetch src into it")
        return LocalPath(os.path.normpath(base))
    target = os.path.join(base, os.path.basename(src))
    if os.path.isdir(target):
        raise InputError(f"calculated dest '{target}' is an existing directory", fix="use another dest")
    return LocalPath(os.path.normpath(target))


def _inside(path: str, folder: str) -> bool:
    folder = os.path.normpath(folder)
    return os.path.commonpath([path, folder]) == folder and path != folder


def _make_directories(folder: LocalPath) -> list[LocalPath]:
    """Make a directory and its parents; returns those made, the deepest first."""
    missing = [each for each in [folder, *folder.parents] if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folders: list[LocalPath]) -> None:
    """When nothing came, nothing stays."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _missing(failure: TaskFailed, src: str, fail: bool) -> Result:
    message = str(failure.result.get("msg", failure.what))
    if "not found" in message:
        message = "the remote file does not exist, not transferring"
    elif "is a directory" in message:
        message = "remote file is a directory, fetch cannot work on directories, not transferring"
    if fail:
        return {"failed": True, "changed": False, "msg": message, "file": src}
    return {"changed": False, "msg": f"{message}, ignored", "file": src}


def _received(target: LocalPath, promised: str, validate: bool) -> Result:
    sums = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha1", "md5")}
    with target.open("rb") as file:
        while chunk := file.read(CHUNK):
            for each in sums.values():
                each.update(chunk)
    sha1, md5 = (each.hexdigest() for each in sums.values())
    told: dict[str, Any] = {"checksum": sha1, "remote_checksum": promised, "md5sum": md5, "remote_md5sum": None}
    if validate and sha1 != promised:
        return {
            **told,
            "failed": True,
            "changed": False,
            "msg": "checksum mismatch: the file changed while it was sent",
        }
    return told
