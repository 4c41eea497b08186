"""A file of the host's for the controller: sent in chunks, and only when the controller has another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.content import digest
from wxops.agent.modules.slurp import readable

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change


def fetch(change: Change, src: Path, _have: str = "") -> Dict[str, Any]:
    """Send a file's content, unless its SHA-1 is `_have`; in check mode only say whether it would be sent."""
    content = readable(change, src)
    sha1 = digest(content.chunks(), "sha1")
    differs = sha1 != _have
    if differs and not change.check:
        change.link.upload(content)
    return {"changed": differs, "checksum": sha1, "size": content.size}
