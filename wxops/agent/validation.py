"""Trying new content with the operator's own command (`validate: visudo -cf %s`) before it takes its place."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import CHUNK
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any

    from wxops.agent.attributes import Attributes
    from wxops.agent.change import Change
    from wxops.agent.content import Content


def validate(change: Change, command: str, path: str, content: Content, attributes: Attributes) -> None:
    """Run the command on a private copy of the content; ModuleFailure when it says no.

    In check mode it runs too, or else a check would pass what the run refuses. But when earlier tasks of that check
    would have changed this host, its verdict is about a host that will be another: then a no is a warning.
    """
    words = shlex.split(command)
    if not any("%s" in word for word in words):
        raise ModuleFailure("validate must contain %%s: %s" % command)
    folder = tempfile.mkdtemp(prefix="wxops-validate-")
    try:
        copy = os.path.join(folder, os.path.basename(path))
        _write(change, copy, content, attributes)
        done = run([change.expand(word.replace("%s", copy)) for word in words])
    except ModuleFailure as failure:
        _refuse(change, "%s cannot be validated: %s" % (path, failure))
        return
    finally:
        shutil.rmtree(folder)
    if done.rc != 0:
        said = (done.stderr or done.stdout).strip()
        _refuse(change, "failed to validate: rc:%d error:%s" % (done.rc, said), exit_status=done.rc, **done.result())


def _refuse(change: Change, message: str, **result: Any) -> None:
    if not (change.check and change.view.overlay):
        raise ModuleFailure(message, **result)
    change.warnings.append("%s (but earlier tasks of this check would have changed the host)" % message)


def _write(change: Change, copy: str, content: Content, attributes: Attributes) -> None:
    with content.open() as source, open(copy, "wb") as target:  # not `chunks`: it will be read again
        shutil.copyfileobj(source, target, CHUNK)
    wanted = attributes.numbers(change, {"type": "file", "mode": 0o600})
    if -1 not in (wanted.get("uid"), wanted.get("gid")):  # a user that only this check knows
        os.chown(copy, wanted.get("uid", -1), wanted.get("gid", -1))
    os.chmod(copy, wanted.get("mode", 0o600))
