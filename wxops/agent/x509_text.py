"""Certificates and requests as `openssl -text` prints them: subject, key and extensions, to compare and to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.openssl import openssl

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal

NAMES = "sep_comma_plus_space,utf8"
EXTENSION = re.compile(
    r"^( *)(X509v3 [^:]+|TLS Feature|Authority Information Access|[\d.]+|[A-Z][\w ]+): *(critical)? *$"
)


def about(data: bytes, kind: Literal["req", "x509"]) -> Dict[str, Any]:
    """{"subject", "issuer" (of a certificate), "key" (its text), "extensions": name -> words}. Order does not count

    in an extension, and neither the serial number nor the validity is told. Raises ModuleFailure for what is none.
    """
    with openssl() as tool:
        text = tool.call(kind, "-in", tool.file(data), "-noout", "-text", "-nameopt", NAMES).decode("utf-8", "replace")
    return parsed(text)


def parsed(text: str) -> Dict[str, Any]:
    text = re.split(r"^ {4}Signature Algorithm", text, flags=re.MULTILINE)[0]
    found: Dict[str, Any] = {"extensions": _extensions(text)}
    for name in ("Subject", "Issuer"):
        line = re.search(r"^ *%s: *(.*)$" % name, text, re.MULTILINE)
        if line:
            found[name.lower()] = line.group(1).strip()
    key = re.search(r"^ *Public Key Algorithm:.*?(?=^ {8}\S|^ {12}\S*Requested|\Z)", text, re.MULTILINE | re.DOTALL)
    found["key"] = re.sub(r"\s+", " ", key.group(0)) if key else ""
    return found


def _extensions(text: str) -> Dict[str, List[str]]:
    begin = re.search(r"^ *(X509v3|Requested) [Ee]xtensions:.*$", text, re.MULTILINE)
    found: Dict[str, List[str]] = {}
    name, indent = "", 0
    for line in text[begin.end() :].splitlines() if begin else []:
        head = EXTENSION.match(line)
        if head and (not name or len(head.group(1)) <= indent):
            name, indent = head.group(2), len(head.group(1))
            found[name] = ["critical"] if head.group(3) else []
        elif name and line.strip():
            found[name] += [word.strip() for word in line.split(",") if word.strip()]
    return {name: sorted(words) for name, words in found.items()}


def shown(about: Dict[str, Any]) -> str:
    """For a diff."""
    lines = ["%s: %s\n" % (name, about[name]) for name in ("subject", "issuer") if about.get(name)]
    return "".join(lines + ["%s: %s\n" % (name, ", ".join(words)) for name, words in about["extensions"].items()])
