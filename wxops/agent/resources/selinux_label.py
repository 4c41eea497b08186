"""The SELinux label of a file: user, role, type and level, kept by the kernel in an extended attribute."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Optional, Sequence

    from wxops.agent.change import View
    from wxops.agent.resources import State

ATTRIBUTE = "security.selinux"
ENFORCE = "/sys/fs/selinux/enforce"


class SelinuxLabelKind(Kind):
    """The name is a path. The state: {"label": "user:role:type:level"}, nothing where a file has none."""

    def read(self, name: str, view: View) -> State:
        with contextlib.suppress(OSError):
            return {"label": os.getxattr(name, ATTRIBUTE, follow_symlinks=False).decode().rstrip("\0")}
        return {}

    def write(self, name: str, state: State) -> None:
        if "label" not in state:
            return
        try:
            os.setxattr(name, ATTRIBUTE, state["label"].encode() + b"\0", follow_symlinks=False)
        except OSError as error:
            raise ModuleFailure(
                "cannot give %s the SELinux label %s: %s" % (name, state["label"], error.strerror)
            ) from None


KIND = SelinuxLabelKind()


def enabled() -> bool:
    """Is SELinux on here? Where it is not, Ansible passes over the SELinux arguments, and so do we."""
    return os.path.exists(ENFORCE)


def wanted(now: State, parts: Sequence[Optional[str]], path: str) -> State:
    """The label with the given user, role, type and level in it; `_default` stands for the policy's own."""
    label = now.get("label", "").split(":", 3)
    if "_default" in parts:
        default = _policy_label(path).split(":", 3)
        parts = [default[n] if part == "_default" and n < len(default) else part for n, part in enumerate(parts)]
    filled = [part or (label[n] if n < len(label) else "") for n, part in enumerate(parts)]
    if not all(filled[:3]):
        raise ModuleFailure("%s has no SELinux label yet: give seuser, serole and setype" % path, path=path)
    return {"label": ":".join(part for part in filled if part)}


def _policy_label(path: str) -> str:
    asked = run(["matchpathcon", "-n", path])
    if asked.rc != 0:
        raise ModuleFailure("the SELinux policy has no default label for %s" % path, **asked.result())
    return asked.stdout.strip()
