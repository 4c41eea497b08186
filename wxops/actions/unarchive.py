"""An archive of the controller's, of the host's or of a web server's, unpacked on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wxops.actions import Call
from wxops.actions._content import find, packed, read
from wxops.agent.web import masked
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.agent.arguments import Mode, Path

ALIASES = {"attr": "attributes"}
NEEDS = "src (or content) and dest are required"


def prepare(
    call: Call,
    src: str,
    dest: Path,
    remote_src: bool | None = None,
    copy: bool | None = None,
    creates: Path | None = None,
    list_files: bool = False,
    keep_newer: bool = False,
    exclude: list[str] | None = None,
    include: list[str] | None = None,
    extra_opts: list[str] | None = None,
    decrypt: bool = True,
    validate_certs: bool = True,
    io_buffer_size: int = 65536,
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
    """Unpack an archive: tar (gzip, bzip2, xz, zstd) or zip. What is on the host already is left alone.

    An archive with a member that would be written outside of dest is refused as a whole.

    src: the archive, looked for in files/; with remote_src a path on the host or a URL.
    dest: the directory to unpack it into, which must exist.
    remote_src: src is on the host, or a URL that the host downloads.
    copy: the opposite of remote_src, as Ansible once called it.
    creates: a path; when it exists nothing is unpacked.
    list_files: return the names of all members as `files`.
    keep_newer: leave files alone that are newer than those in the archive.
    exclude: names or patterns of members to leave out.
    include: names of the only members to unpack; of a directory all that is in it.
    extra_opts: options of tar (--strip-components, --transform, --exclude, --wildcards, --numeric-owner,
        --no-same-owner) or of unzip (-j).
    decrypt: open an archive that is encrypted with a vault password.
    validate_certs: check the certificate of the server that a URL names.
    io_buffer_size: taken for Ansible's sake.
    mode: of all that is unpacked: octal in quotes ("0644") or symbolic ("u=rwX,g=rX").
    owner: of all that is unpacked: a user's name or number; by default the archive's.
    group: of all that is unpacked: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if copy is not None and remote_src is not None:
        raise InputError("parameters are mutually exclusive: copy|remote_src")
    remote = not copy if copy is not None else bool(remote_src)
    arguments = {
        "dest": dest, "src": src, "remote_src": remote, "creates": creates, "list_files": list_files,
        "keep_newer": keep_newer, "exclude": exclude, "include": include, "extra_opts": extra_opts,
        "validate_certs": validate_certs, "mode": mode, "owner": owner, "group": group, "attributes": attributes,
        "seuser": seuser, "serole": serole, "setype": setype, "selevel": selevel,
    }  # fmt: skip
    if remote:
        return "unarchive", arguments
    if "://" in src:
        raise InputError(f"{masked(src)} is a URL: say `remote_src: true`, and the host downloads it")
    path = find(call, src, "files")
    if not path.is_file():
        raise InputError("is no file, so no archive", where=str(path))
    return "unarchive", {**arguments, "src": str(path), "_content": packed(call, read(call, path, decrypt))}
