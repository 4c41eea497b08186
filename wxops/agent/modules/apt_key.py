"""Keys that apt trusts for every source. A key for one source alone is safer: deb822_repository's `signed_by`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wxops.agent.debian.keyrings import Keyrings
from wxops.agent.debian.openpgp import NotAKey, keys_in
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import OK, Web, masked

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.debian.openpgp import PublicKey

SHORT, LONG = 8, 16
HKP_PORTS = {"hkp": ("http", 11371), "hkps": ("https", 443)}


def apt_key(
    change: Change,
    id: Optional[str] = None,
    url: Optional[str] = None,
    data: Optional[str] = None,
    file: Optional[Path] = None,
    keyserver: Optional[str] = None,
    keyring: Optional[Path] = None,
    validate_certs: bool = True,
    state: Literal["absent", "present"] = "present",
) -> Dict[str, Any]:
    """Add a key to those that apt trusts for all sources, or take it away. The host needs neither apt-key nor gpg.

    A key that has expired counts as missing, so that the one which takes its place is added.

    id: the key: 8, 16 or more hexadecimal digits; the more the safer. By default that of the key which is given.
    url: where to get the key.
    data: the key itself, armored.
    file: the key in a file on the host.
    keyserver: get the key from there, by its id.
    keyring: the keyring; by default /etc/apt/trusted.gpg, and for keys that are there already trusted.gpg.d as well.
    validate_certs: check the certificate of the server that a URL names.
    state: present or absent.
    """
    given = [name for name, value in (("data", data), ("file", file), ("keyserver", keyserver), ("url", url)) if value]
    if len(given) > 1:
        raise ModuleFailure("parameters are mutually exclusive: data|file|keyserver|url")
    if not id and keyserver:
        raise ModuleFailure("Missing key_id, required with keyserver.")
    new = None if id else _keys(change, data, file, url, validate_certs)
    key_id = _checked(id or (new or [])[0].fingerprint[-LONG:])
    result: Dict[str, Any] = {
        "id": id or key_id, "short_id": key_id[-SHORT:], "fp": key_id[-LONG:], "key_id": key_id,
    }  # fmt: skip
    rings = Keyrings(change, keyring)
    short = len(key_id) == SHORT
    result["before"] = _shown(rings, short)
    is_there = (key_id if short else key_id[-LONG:]) in result["before"]
    if is_there == (state == "present"):
        return result
    if state == "absent":
        rings.remove(lambda key: any(found.endswith(key_id[-LONG:]) for found in key.ids(0)))
    else:
        if new is None:
            new = _from_server(keyserver, key_id) if keyserver else _keys(change, data, file, url, validate_certs)
        _expect(new, key_id, result)
        rings.add(new)
    if not change.check:
        result["after"] = _shown(rings, short)
    return result


def _checked(text: str) -> str:
    """The digits of an id. Raises ModuleFailure when it is none."""
    digits = re.sub("^0X", "", text.upper())
    if not re.match("^[0-9A-F]+$", digits) or (len(digits) <= LONG and len(digits) not in (SHORT, LONG)):
        raise ModuleFailure("Invalid key_id: it must be 8, 16 or more hexadecimal digits, not %r" % text, id=text)
    return digits


def _shown(rings: Keyrings, short: bool) -> List[str]:
    return [found[-SHORT:] if short else found for found in rings.ids()]


def _keys(
    change: Change, data: Optional[str], file: Optional[str], url: Optional[str], validate_certs: bool
) -> List[PublicKey]:
    """What the task gives, read as keys."""
    if file is not None:
        content = change.read(file)
        if content is None:
            raise ModuleFailure("Unable to extract key from '%s': there is no such file" % file)
        return _parsed(content, file)
    if data is not None:
        return _parsed(data.encode("utf-8", "surrogateescape"), "inline data")
    if url is None:
        raise ModuleFailure("there is no key: give data, file, url, or keyserver and id")
    answer = Web(validate_certs=validate_certs).get(url)
    if answer.status != OK:
        raise ModuleFailure("Failed to download key at %s: %s" % (masked(url), answer.message))
    return _parsed(answer.content().read(), masked(url))


def _from_server(server: str, key_id: str) -> List[PublicKey]:
    """Over HKP, which is HTTP: draft-gallagher-openpgp-hkp."""
    parts = urlsplit(server if "://" in server else "hkp://" + server)
    scheme, port = HKP_PORTS.get(parts.scheme, (parts.scheme, None))
    where = parts.netloc if parts.port or port is None else "%s:%d" % (parts.netloc, port)
    answer = Web().get("%s://%s/pks/lookup?op=get&options=mr&search=0x%s" % (scheme, where, key_id))
    if answer.status != OK:
        raise ModuleFailure("Key %s not found on keyserver %s (%s)" % (key_id, server, answer.message))
    return _parsed(answer.content().read(), "keyserver " + server)


def _parsed(data: bytes, place: str) -> List[PublicKey]:
    try:
        found = keys_in(data)
    except NotAKey as error:
        raise ModuleFailure("Unable to extract key from '%s': %s" % (place, error)) from None
    if not found:
        raise ModuleFailure("Unable to extract key from '%s': there is none in it" % place)
    return found


def _expect(new: List[PublicKey], key_id: str, result: Dict[str, Any]) -> None:
    """What came must be what was asked for: a server may send anything."""
    known = [name for key in new for name in [key.fingerprint, *key.ids()]]
    if not any(name.endswith(key_id) for name in known):
        raise ModuleFailure(
            "the key that was given is not %s, or it has expired: it is %s"
            % (key_id, ", ".join(key.fingerprint for key in new)), **result,
        )  # fmt: skip
