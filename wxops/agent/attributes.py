"""Mode, owner, group, SELinux label and inode flags of a file: what nearly every file module also sets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import inode_flags, selinux_label

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.arguments import Mode
    from wxops.agent.change import Change
    from wxops.agent.resources import State


class Attributes:
    """What a task asks for; None leaves a thing as it is."""

    def __init__(
        self,
        mode: Optional[Mode] = None,
        owner: Optional[str] = None,
        group: Optional[str] = None,
        flags: Optional[str] = None,
        seuser: Optional[str] = None,
        serole: Optional[str] = None,
        setype: Optional[str] = None,
        selevel: Optional[str] = None,
    ) -> None:
        """flags: letters as chattr takes them, after "+", "-" or "=" (the default)."""
        self.mode, self.owner, self.group, self.flags = mode, owner, group, flags
        self.label = (seuser, serole, setype, selevel)

    def any(self) -> bool:
        return any((self.mode, self.owner, self.group, self.flags, *self.label))

    def with_mode(self, mode: Optional[Mode]) -> Attributes:
        return Attributes(mode, self.owner, self.group, self.flags, *self.label)

    def numbers(self, change: Change, now: State) -> Dict[str, int]:
        """Mode, uid and gid for what is in the state `now`."""
        return change.attributes(now, self.mode, self.owner, self.group)

    def set(self, change: Change, path: str) -> None:
        """Give them to what exists at a path, itself and not what it links to."""
        now = change.file(path)
        if now["type"] == "absent":
            raise ModuleFailure("%s does not exist" % path, path=path)
        change.set("file", change.place(path), dict(self.numbers(change, now), type=now["type"]))
        self.set_label_and_flags(change, path)

    def set_label_and_flags(self, change: Change, path: str) -> None:
        """What a file cannot be given in the step that writes it; one that only a check has begins as its directory."""
        place = change.place(path)
        known = place if os.path.lexists(place) else _nearest(place)
        if any(self.label) and selinux_label.enabled():
            now = change.state("selinux_label", place) or change.state("selinux_label", known)
            change.set("selinux_label", place, selinux_label.wanted(now, self.label, place))
        if self.flags:
            now = change.state("inode_flags", place) or change.state("inode_flags", known)
            change.set("inode_flags", place, inode_flags.wanted(now, self.flags))


def _nearest(path: str) -> str:
    """The directory above that is on disk."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def describe(change: Change, path: str) -> Dict[str, Any]:
    """What Ansible's modules return of the path they changed: state, owner, group, mode, size, ..."""
    described = change.describe(path)
    del described["path"]
    try:
        found = os.lstat(change.place(path))
    except OSError:
        return described  # only check mode has it
    if described["state"] == "file" and found.st_nlink > 1:
        described["state"] = "hard"
    if "size" not in described and described["state"] != "absent":
        described["size"] = found.st_size
    if described["state"] != "absent" and selinux_label.enabled():
        described["secontext"] = change.state("selinux_label", change.place(path)).get("label", "")
    return described
