"""Templates of the controller's, filled in for a host and put in their place."""

from __future__ import annotations

from pathlib import Path as LocalPath
from typing import TYPE_CHECKING, Any, Literal

from wxops.actions import Call
from wxops.actions._content import SHOWN, find, mode_of, one_file, read
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.agent.arguments import Mode, Path

ALIASES = {"attr": "attributes"}
NEEDS = "src and dest are required"
NEWLINES = {"\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n"}


def prepare(
    call: Call,
    src: str,
    dest: Path,
    backup: bool = False,
    force: bool = True,
    follow: bool = False,
    validate: str | None = None,
    newline_sequence: Literal["\\n", "\\r", "\\r\\n", "\n", "\r", "\r\n"] = "\n",
    block_start_string: str = "{%",
    block_end_string: str = "%}",
    variable_start_string: str = "{{",
    variable_end_string: str = "}}",
    comment_start_string: str = "{#",
    comment_end_string: str = "#}",
    trim_blocks: bool = True,
    lstrip_blocks: bool = False,
    output_encoding: str = "utf-8",
    mode: Mode | None = None,
    owner: str | None = None,
    group: str | None = None,
    attributes: str | None = None,
    seuser: str | None = None,
    serole: str | None = None,
    setype: str | None = None,
    selevel: str | None = None,
    unsafe_writes: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Fill a Jinja2 template in with the variables of the host and put it in its place.

    src: the template, looked for in templates/.
    dest: where; in a directory it gets the template's own name.
    backup: keep a copy of a file that is replaced, beside it.
    force: replace a file that differs; without it only what is missing is written.
    follow: write through a link at dest instead of replacing it.
    validate: a command that must accept the new file before it takes its place; %s stands for the file.
    newline_sequence: how lines end.
    block_start_string: what begins a block.
    block_end_string: what ends a block.
    variable_start_string: what begins an expression.
    variable_end_string: what ends an expression.
    comment_start_string: what begins a comment.
    comment_end_string: what ends a comment.
    trim_blocks: remove the line break after a block.
    lstrip_blocks: remove blanks before a block.
    output_encoding: of the file.
    mode: octal in quotes ("0644"), symbolic ("u=rw,g=r") or `preserve`, the template's own.
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    path = find(call, src, "templates")
    source, encrypted = _source(call, path)
    text = call.templar.for_template(path, src=src, dest=dest).template_text(
        source, name=str(path), newline_sequence=NEWLINES.get(newline_sequence, newline_sequence),
        block_start_string=block_start_string, block_end_string=block_end_string,
        variable_start_string=variable_start_string, variable_end_string=variable_end_string,
        comment_start_string=comment_start_string, comment_end_string=comment_end_string, trim_blocks=trim_blocks,
        lstrip_blocks=lstrip_blocks,
    )  # fmt: skip
    if encrypted and len(text) <= SHOWN:
        call.templar.secrets.add(text)
    return "copy", {
        "dest": dest, "src": str(path), "backup": backup, "force": force, "follow": follow, "validate": validate,
        "mode": mode_of(path) if mode == "preserve" else mode, "owner": owner, "group": group,
        "attributes": attributes, "seuser": seuser, "serole": serole, "setype": setype, "selevel": selevel,
        "_sent": one_file(call, _encoded(text, output_encoding or "utf-8", path), path.name),
    }  # fmt: skip


def _source(call: Call, path: LocalPath) -> tuple[str, bool]:
    """The template's text, and whether it was encrypted."""
    if path.is_dir():
        raise InputError("is a directory, not a template", where=str(path))
    content = read(call, path)
    try:
        if isinstance(content, bytes):
            return content.decode("utf-8"), True
        return content.read_bytes().decode("utf-8"), False
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text ({error.reason} at byte {error.start})", where=str(path)) from None


def _encoded(text: str, encoding: str, path: LocalPath) -> bytes:
    try:
        return text.encode(encoding, "surrogateescape" if encoding.lower().replace("-", "") == "utf8" else "strict")
    except (UnicodeEncodeError, LookupError) as error:
        raise InputError(f"cannot be written as {encoding}: {error}", where=str(path)) from None
