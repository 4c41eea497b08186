"""Sources of packages for apt in the newer format: one file a repository, with the key that signs it."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wxops.agent.attributes import describe
from wxops.agent.debian.openpgp import is_armored
from wxops.agent.debian.source_lists import FOLDER, make_folder
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import OK, Web

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Tuple

    from wxops.agent.arguments import Mode
    from wxops.agent.change import Change

KEYRINGS = "/etc/apt/keyrings"
FIELDS = {"name": "X-Repolib-Name", "uris": "URIs"}


def deb822_repository(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    types: Optional[List[Literal["deb", "deb-src"]]] = None,
    uris: Optional[List[str]] = None,
    suites: Optional[List[str]] = None,
    components: Optional[List[str]] = None,
    signed_by: Optional[str] = None,
    enabled: Optional[bool] = None,
    architectures: Optional[List[str]] = None,
    languages: Optional[List[str]] = None,
    targets: Optional[List[str]] = None,
    trusted: Optional[bool] = None,
    allow_downgrade_to_insecure: Optional[bool] = None,
    allow_insecure: Optional[bool] = None,
    allow_weak: Optional[bool] = None,
    by_hash: Optional[bool] = None,
    check_date: Optional[bool] = None,
    check_valid_until: Optional[bool] = None,
    date_max_future: Optional[int] = None,
    inrelease_path: Optional[str] = None,
    pdiffs: Optional[bool] = None,
    mode: Mode = "0644",
) -> Dict[str, Any]:
    """Write a repository to sources.list.d/NAME.sources, and its key to keyrings/; `apt` with update_cache reads it.

    name: of the repository, and so of its files.
    state: present or absent; absent removes the key that came with it too.
    types: deb, deb-src or both; deb by default.
    uris: where the repository is.
    suites: releases such as bookworm, or a path that ends with /.
    components: main, contrib, ...
    signed_by: the key: its URL, the path of a keyring on the host, fingerprints, or the armored key itself.
    enabled: whether apt uses it.
    architectures: only these.
    languages: of the descriptions.
    targets: what to download of it.
    trusted: take its packages without a signature. Almost never right.
    allow_downgrade_to_insecure: let it lose its signature.
    allow_insecure: take it without a signature.
    allow_weak: take a signature by a weak key.
    by_hash: fetch indexes by their digest.
    check_date: believe the host's clock.
    check_valid_until: refuse an index that is out of date.
    date_max_future: seconds that it may lie ahead of the host's clock.
    inrelease_path: of the file InRelease, seen from its usual place.
    pdiffs: fetch differences rather than whole indexes.
    mode: of the file: octal in quotes ("0644") or symbolic ("u=rw,go=r").
    """
    slug = re.sub(r"[^a-z0-9-]+", "", re.sub(r"[_\s]+", "-", name.lower()))
    dest = os.path.join(FOLDER, slug + ".sources")
    if state == "absent":
        keys = [_key_file(slug, ending) for ending in ("asc", "gpg")]
        for path in (dest, *keys):
            change.set("file", change.place(path), {"type": "absent"})
        return {"repo": None, "dest": dest, "key_filename": keys[-1], **describe(change, dest)}
    key_file, signer = _signer(change, signed_by, slug) if signed_by else (None, None)
    text = _text({
        "allow_downgrade_to_insecure": allow_downgrade_to_insecure, "allow_insecure": allow_insecure,
        "allow_weak": allow_weak, "architectures": architectures, "by_hash": by_hash, "check_date": check_date,
        "check_valid_until": check_valid_until, "components": components, "date_max_future": date_max_future,
        "enabled": enabled, "inrelease_path": inrelease_path, "languages": languages, "name": name, "pdiffs": pdiffs,
        "signed_by": signer, "suites": suites, "targets": targets, "trusted": trusted, "types": types or ["deb"],
        "uris": uris,
    })  # fmt: skip
    make_folder(change, FOLDER)
    change.write(dest, text.encode("utf-8", "surrogateescape"), mode)
    return {"repo": text, "dest": dest, "key_filename": key_file, **describe(change, dest)}


def _text(fields: Dict[str, Any]) -> str:
    """The stanza, its fields in the order of the arguments' names: as Ansible's, so that both write the same file."""
    return "".join(_field(name, fields[name]) for name in sorted(fields) if fields[name] is not None)


def _field(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    text = " ".join(value) if isinstance(value, list) else str(value)
    if "\n" in text:
        lines = "\n".join(line.strip() or "." for line in text.strip().splitlines())
        text = "\n" + textwrap.indent(lines, "    ")
    label = FIELDS.get(name) or name.replace("_", "-").title()
    return "%s:%s%s\n" % (label, "" if text.startswith("\n") or not text else " ", text)


def _signer(change: Change, given: str, slug: str) -> Tuple[Optional[str], str]:
    """The key's file, where it has one, and what Signed-By says."""
    if "\n" not in given and change.file(given, follow=True)["type"] == "file":
        return given, given
    if not urlsplit(given).scheme:
        return None, given
    data = _fetched(given)
    path = _key_file(slug, "asc" if is_armored(data) else "gpg")
    if change.file(KEYRINGS, follow=True)["type"] == "absent":
        make_folder(change, KEYRINGS)
    change.write(path, data, "0644")
    return path, path


def _fetched(url: str) -> bytes:
    try:
        answer = Web().get(url)
    except ModuleFailure as failure:
        raise ModuleFailure("Could not fetch signed_by key: %s" % failure) from None
    if answer.status != OK:
        raise ModuleFailure("Could not fetch signed_by key: %s" % answer.message)
    return answer.content().read()


def _key_file(slug: str, ending: str) -> str:
    return os.path.join(KEYRINGS, "%s.%s" % (slug, ending))
