"""A form with files, as browsers send it: multipart/form-data."""

from __future__ import annotations

import base64
import mimetypes
import os
import uuid
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.offered import content_from

if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from wxops.agent.change import Change

LINE = 76  # characters of a base64 line


def multipart(change: Change, fields: Any) -> Tuple[bytes, str]:
    """(body, content type). A field is a text, or {"content", "filename", "mime_type", "multipart_encoding"}.

    A file's content is `_content` when the controller sent it, else what is at `filename` on the host.
    """
    if not isinstance(fields, dict):
        raise ModuleFailure("body must be mapping, cannot be type %s" % type(fields).__name__)
    boundary = uuid.uuid4().hex
    parts = [_part(change, name, value if isinstance(value, dict) else {"content": value, "mime_type": "text/plain"})
             for name, value in sorted(fields.items())]  # fmt: skip
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts)
    return body + b"--%b--\r\n" % boundary.encode(), 'multipart/form-data; boundary="%s"' % boundary


def _part(change: Change, name: str, field: Dict[str, Any]) -> bytes:
    filename = field.get("filename")
    data = _data(change, name, field)
    is_file = bool(filename) and field.get("content") is None
    kind = field.get("mime_type") or mimetypes.guess_type(str(filename or ""))[0] or "application/octet-stream"
    lines = ['Content-Disposition: form-data; name="%s"' % _quoted(name)]
    if filename:
        lines[0] += '; filename="%s"' % _quoted(os.path.basename(str(filename)))
    lines.append("Content-Type: %s" % kind)
    if is_file and field.get("multipart_encoding", "base64") == "base64":
        lines.append("Content-Transfer-Encoding: base64")
        text = base64.b64encode(data)
        data = b"\r\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + data


def _data(change: Change, name: str, field: Dict[str, Any]) -> bytes:
    if field.get("content") is not None:
        return str(field["content"]).encode("utf-8")
    if "_content" in field:
        return content_from(change.link, field["_content"]).read()
    found: Optional[bytes] = change.read(str(field["filename"])) if field.get("filename") else None
    if found is None:
        raise ModuleFailure("field %s needs `content`, or a `filename` that is there" % name)
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
