"""Certificates and requests put in their place, unless the one that is there says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.backup import back_up
from wxops.agent.failure import ModuleFailure
from wxops.agent.x509_text import about, shown

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.attributes import Attributes
    from wxops.agent.change import Change


def put_public(
    change: Change, path: str, made: bytes, kind: Literal["req", "x509"], attributes: Attributes, force: bool,
    backup: bool,
) -> Dict[str, Any]:  # fmt: skip
    """The result has `backup_file` when a copy was kept. The diff tells in words what the file says."""
    now = change.read(path)
    before = _about(now, kind)
    after = about(made, kind)
    result: Dict[str, Any] = {}
    if force or before != after:
        copy = back_up(change, path) if backup and now is not None else None
        result = {"backup_file": copy} if copy is not None else {}
        if change.write(path, made, attributes.mode, attributes.owner, attributes.group):
            texts = {"before": shown(before) if before else "", "after": shown(after)}
            change.diffs[-1] = {"before_header": path, "after_header": path, **texts}
    attributes.set(change, path)
    return result


def _about(data: Optional[bytes], kind: Literal["req", "x509"]) -> Optional[Dict[str, Any]]:
    try:
        return about(data, kind) if data is not None else None
    except ModuleFailure:
        return None  # a broken one is replaced
