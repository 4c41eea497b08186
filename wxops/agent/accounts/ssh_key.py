"""A user's SSH key pair, made by ssh-keygen and put in place through the one door."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.secret_file import hidden

if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from wxops.agent.change import Change


def give_key(
    change: Change, path: str, owner: Tuple[int, int], force: bool, type: str, bits: int, comment: str,
    passphrase: Optional[str],
) -> Dict[str, Any]:  # fmt: skip
    """A key pair at `path`, made if there is none or if `force`; what the module user returns about it."""
    there = [name for name in (path, path + ".pub") if change.file(name, follow=True)["type"] != "absent"]
    if there and not force:
        change.warnings.append("%s exists; `force: true` makes a new key over it" % there[0])
    elif change.check:
        _put(change, path, owner, b"", b"")
        return {"ssh_key_file": path, "ssh_public_key": None, "ssh_fingerprint": "made by the run, not by a check"}
    else:
        _put(change, path, owner, *_generate(type, bits, comment, passphrase))
    public = change.read(path + ".pub")
    return {"ssh_key_file": path, "ssh_public_key": public.decode().strip() if public is not None else None,
            "ssh_fingerprint": _fingerprint(path)}  # fmt: skip


def _put(change: Change, path: str, owner: Tuple[int, int], private: bytes, public: bytes) -> None:
    place, numbers = change.place(path), {"uid": owner[0], "gid": owner[1]}
    folder = os.path.dirname(place)
    if change.file(folder)["type"] == "absent":
        change.set("file", folder, {"type": "directory", "mode": 0o700, **numbers})
    with hidden(change):
        if change.set("file", place, {"type": "file", "content": Content(private), "mode": 0o600, **numbers}):
            change.diffs[-1] = {"prepared": "%s: a new private key\n" % path}
    change.set("file", place + ".pub", {"type": "file", "content": Content(public), "mode": 0o644, **numbers})


def _generate(type: str, bits: int, comment: str, passphrase: Optional[str]) -> Tuple[bytes, bytes]:
    """The two files of a new key. The passphrase is typed at ssh-keygen's prompts, never on its command line."""
    folder = tempfile.mkdtemp(prefix="wxops-")
    try:
        path = os.path.join(folder, "key")
        argv = ["ssh-keygen", "-q", "-t", type, "-C", comment, "-f", path, *(["-b", str(bits)] if bits else [])]
        typed = ("%s\n%s\n" % (passphrase or "", passphrase or "")).encode()
        done = run(argv, stdin=typed, environment={"DISPLAY": "", "SSH_ASKPASS_REQUIRE": "never"})
        if done.rc != 0:
            raise ModuleFailure(done.stderr.strip() or "ssh-keygen made no key", rc=done.rc)
        return _bytes(path), _bytes(path + ".pub")
    finally:
        shutil.rmtree(folder)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _fingerprint(path: str) -> str:
    done = run(["ssh-keygen", "-l", "-f", path])
    return (done.stdout or done.stderr).strip()
