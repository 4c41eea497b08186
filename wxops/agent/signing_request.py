"""What a task says of a certificate signing request, as the configuration that `openssl req` reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    Name = Tuple[str, str]

FIELDS = (("country_name", "C"), ("state_or_province_name", "ST"), ("locality_name", "L"), ("organization_name", "O"),
          ("organizational_unit_name", "OU"), ("common_name", "CN"), ("email_address", "emailAddress"))  # fmt: skip
REASONS = {"key_compromise": "keyCompromise", "ca_compromise": "CACompromise",
           "affiliation_changed": "affiliationChanged", "superseded": "superseded",
           "cessation_of_operation": "cessationOfOperation", "certificate_hold": "certificateHold",
           "privilege_withdrawn": "privilegeWithdrawn", "aa_compromise": "AACompromise"}  # fmt: skip
USAGES = {"contentCommitment": "nonRepudiation", "Content Commitment": "nonRepudiation"}
ALT_NAMES = re.compile(r"^(DNS|IP|email|URI|RID|otherName):(.+)$")


def subject_of(given: Dict[str, Any]) -> List[Name]:
    """Pairs of name and value, in their order."""
    ordered = given["subject_ordered"] if given["subject_ordered"] is not None else [given["subject"] or {}]
    pairs = [(name, str(given[key])) for key, name in FIELDS if given[key] is not None]
    for part in ordered:
        for name, value in part.items():
            pairs += [(str(name), str(each)) for each in (value if isinstance(value, list) else [value])]
    return pairs


def alt_names_of(given: Dict[str, Any], subject: List[Name]) -> List[str]:
    names = given["subject_alt_name"]
    if not names and given["use_common_name_for_san"]:
        names = ["DNS:" + value for name, value in subject if name in ("CN", "commonName")][-1:]
    for name in names or []:
        if not ALT_NAMES.match(name):
            raise ModuleFailure("%r is no subject alternative name: DNS:, IP:, email:, URI:, RID: or otherName:" % name)
    return list(names or [])


def configuration(given: Dict[str, Any]) -> str:
    """The file for `openssl req -config`."""
    subject = subject_of(given)
    alt_names = alt_names_of(given, subject)
    extensions, sections = _extensions(given, alt_names)
    lines = ["[req]", "prompt = no", "utf8 = yes", "string_mask = utf8only", "distinguished_name = subject"]
    lines += ["req_extensions = extensions"] if extensions else []
    lines += [
        "[subject]",
        *("%d.%s = %s" % (index, name, _escaped(value)) for index, (name, value) in enumerate(subject)),
    ]
    lines += ["[extensions]", *("%s = %s" % pair for pair in extensions)] if extensions else []
    return "\n".join(lines + sections) + "\n"


def _extensions(given: Dict[str, Any], alt_names: List[str]) -> Tuple[List[Name], List[str]]:
    """Those that the request asks for, and the sections that they name."""
    found: List[Name] = []
    sections: List[str] = []

    def add(name: str, value: str, critical: bool = False) -> None:
        found.append((name, ("critical," if critical else "") + value))

    if alt_names:
        add("subjectAltName", "@alt_names", given["subject_alt_name_critical"])
        pairs = [name.partition(":") for name in alt_names]
        sections += [
            "[alt_names]",
            *("%s.%d = %s" % (kind, number, _escaped(value)) for number, (kind, _, value) in enumerate(pairs)),
        ]
    if given["key_usage"]:
        add("keyUsage", ",".join(USAGES.get(each, each) for each in given["key_usage"]), given["key_usage_critical"])
    if given["extended_key_usage"]:
        add("extendedKeyUsage", ",".join(given["extended_key_usage"]), given["extended_key_usage_critical"])
    if given["basic_constraints"]:
        add("basicConstraints", ",".join(given["basic_constraints"]), given["basic_constraints_critical"])
    if given["ocsp_must_staple"]:
        add("tlsfeature", "status_request", given["ocsp_must_staple_critical"])
    constraints = ["%s;%s" % (kind, each) for kind in ("permitted", "excluded")
                   for each in given["name_constraints_" + kind] or []]  # fmt: skip
    if constraints:
        add("nameConstraints", ",".join(constraints), given["name_constraints_critical"])
    identifier = "hash" if given["create_subject_key_identifier"] else given["subject_key_identifier"]
    if identifier:
        add("subjectKeyIdentifier", identifier)
    points = [_distribution_point(number, point) for number, point in enumerate(given["crl_distribution_points"] or [])]
    if points:
        add("crlDistributionPoints", ",".join("point%d" % number for number in range(len(points))))
        sections += [line for lines in points for line in lines]
    return found, sections


def _distribution_point(number: int, point: Dict[str, Any]) -> List[str]:
    unknown = set(point) - {"full_name", "reasons"}
    if unknown or not point.get("full_name"):
        raise ModuleFailure(
            "crl_distribution_points take full_name and reasons here, not %s" % ", ".join(sorted(point))
        )
    lines = ["[point%d]" % number, "fullname = " + ",".join(map(_escaped, point["full_name"]))]
    reasons: Optional[List[str]] = point.get("reasons")
    if reasons and not set(reasons) <= set(REASONS):
        raise ModuleFailure("reasons of a CRL are %s" % ", ".join(REASONS))
    return lines + (["reasons = " + ",".join(REASONS[each] for each in reasons)] if reasons else [])


def _escaped(value: str) -> str:
    """For OpenSSL's configuration: config(5)."""
    if "\n" in value or "\r" in value:
        raise ModuleFailure("%r holds a line break" % value)
    return re.sub(r"([\\$#\"'])", r"\\\1", value)
