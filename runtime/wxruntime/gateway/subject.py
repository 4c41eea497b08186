"""A certificate's subject as RFC 4514 writes it, in one spelling, so that two are the same when their texts are.

A comma within a value is escaped: a certificate that says CN="shop,O=Example" is not CN=shop of O=Example.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What RFC 4514 calls the attributes that Python's ssl tells by their long names.
SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "stateOrProvinceName": "ST", "localityName": "L", "streetAddress": "STREET", "domainComponent": "DC",
    "userId": "UID",
}  # fmt: skip
_PART = re.compile(r"((?:\\.|[^\\,+])*)([,+]|$)", re.DOTALL)
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)


def written(subject: Sequence[Sequence[tuple[str, str]]]) -> str:
    """The subject that Python's ssl tells of a certificate: CN=shop,O=Example, the most particular name first."""
    return ",".join(
        "+".join(f"{SHORT.get(key, key)}={_escaped(value)}" for key, value in part) for part in reversed(subject)
    )


def spelled(text: str) -> str:
    """A subject from a configuration in the spelling of `written`. ValueError when it is none."""
    whole = ""
    for part, separator in _PART.findall(text):
        key, equals, value = part.partition("=")
        value = _ESCAPE.sub(_unescaped, re.sub(r"(?<!\\)\s+\Z", "", value.lstrip()))
        if not key.strip() or not equals or not value:
            raise ValueError(
                "is no subject; it should be as CN=shop,O=Example, with a backslash before a comma in a name"
            )
        whole += f"{key.strip()}={_escaped(value)}{separator}"
        if not separator:
            break  # the pattern finds the end once more
    return whole


def _escaped(value: str) -> str:
    value = re.sub(r'([,+"\\<>;=])', r"\\\1", value)
    value = re.sub(r"\A[ #]| \Z", lambda found: "\\" + found[0], value)
    return value.replace("\0", "\\00")


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace")
    return found[2]
