"""Keys with which a user may log in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wxops.agent.accounts.authorized_keys import Key, with_keys, without_keys
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.text_file import make_directories

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change


def authorized_key(
    change: Change,
    user: str,
    key: str,
    state: Literal["absent", "present"] = "present",
    path: Optional[Path] = None,
    manage_dir: bool = True,
    key_options: Optional[str] = None,
    comment: Optional[str] = None,
    exclusive: bool = False,
    follow: bool = False,
    validate_certs: bool = True,
) -> Dict[str, Any]:
    """Let those who have a key log in as a user, or no longer.

    user: who is logged in to.
    key: public keys, one a line; or an http(s) or file (on the host) URL of such.
    state: whether the keys are to be in the file.
    path: the file, by default ~/.ssh/authorized_keys of the user.
    manage_dir: make the file's directory, and give it to the user alone.
    key_options: of each key, as sshd(8) takes them: from="10.0.0.0/8",no-pty.
    comment: of each key, instead of its own.
    exclusive: these keys and no others.
    follow: write through a link instead of replacing it.
    validate_certs: check the certificate of the server that a URL names.
    """
    owner = _owner(change, user, path)
    file = path or os.path.join(owner["home"], ".ssh", "authorized_keys")
    place = change.real(file) if follow else change.place(file)
    keys = [each.with_changes(key_options, comment) for each in _keys(change, key, validate_certs)]
    before = (change.read(file) or b"").decode("utf-8", "surrogateescape").splitlines()
    after = with_keys(before, keys, exclusive) if state == "present" else without_keys(before, keys)
    if after != before:
        _put(change, place, after, owner, manage_dir)
    return {"user": user, "key": key, "state": state, "path": path, "keyfile": file, "manage_dir": manage_dir,
            "key_options": key_options, "comment": comment, "exclusive": exclusive, "follow": follow,
            "validate_certs": validate_certs}  # fmt: skip


def _owner(change: Change, user: str, path: Optional[str]) -> Dict[str, Any]:
    """Number, group and home of the user; in check mode also of one that an earlier task would have made."""
    found = change.state("user", user)
    if found["exists"]:
        return {"uid": found.get("uid", -1), "gid": found.get("gid", -1), "home": found.get("home") or "/home/" + user}
    if change.check and path is not None:
        return {"uid": -1, "gid": -1, "home": ""}
    raise ModuleFailure("Failed to lookup user %s: there is no such user on this host" % user)


def _keys(change: Change, text: str, validate_certs: bool) -> List[Key]:
    if text.startswith(("http://", "https://")):
        text = _downloaded(text, validate_certs)
    elif text.startswith("file:"):
        name = urlsplit(text).path
        if change.file(name, follow=True)["type"] == "absent":
            raise ModuleFailure("Path to a key file not found: %s" % name)
        text = (change.read(name) or b"").decode("utf-8", "replace")
    keys = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key = Key.of(line)
            if key is None:
                raise ModuleFailure("invalid key specified: %s" % line)
            keys.append(key)
    return keys


def _downloaded(url: str, validate_certs: bool) -> str:
    from wxops.agent.web import OK, Web  # only a URL needs it

    answer = Web(validate_certs=validate_certs).get(url)
    if answer.status != OK:
        raise ModuleFailure("Error getting key from: %s (%s)" % (url, answer.message))
    return answer.content().read().decode("utf-8", "replace")


def _put(change: Change, place: str, lines: List[str], owner: Dict[str, Any], manage_dir: bool) -> None:
    numbers = {"uid": owner["uid"], "gid": owner["gid"]}
    folder = os.path.dirname(place)
    if manage_dir:
        make_directories(change, os.path.dirname(folder))
        change.set("file", change.real(folder), {"type": "directory", "mode": 0o700, **numbers})
    else:
        make_directories(change, folder)
    text = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
    change.set("file", place, {"type": "file", "content": Content(text), "mode": 0o600, **numbers})
