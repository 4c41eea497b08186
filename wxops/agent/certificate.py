"""Certificates signed by openssl: by their own key, or by a CA's that lies on the host."""

from __future__ import annotations

import calendar
import os
import re
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.openssl import openssl, pass_in
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

ANY_NAME = ("countryName", "stateOrProvinceName", "localityName", "organizationName", "organizationalUnitName",
            "commonName", "emailAddress")  # fmt: skip
RELATIVE = re.compile(r"^([+-])(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$")
SECONDS = (7 * 86400, 86400, 3600, 60, 1)
ABSOLUTE = re.compile(r"^\d{14}Z$")


class Signer:
    """Who signs: `certificate` is None for a certificate that signs itself."""

    def __init__(self, key: bytes, passphrase: Optional[str], certificate: Optional[bytes], digest: str) -> None:
        self.key, self.passphrase, self.certificate, self.digest = key, passphrase, certificate, digest

    def sign(self, request: bytes, begin: str, end: str, extensions: List[str]) -> bytes:
        """The certificate for a request, with what it asks for and these extensions."""
        with openssl() as tool:
            folder = tool.file(b"") + "-ca"
            config = _configuration(folder, extensions)
            words = ["ca", "-config", tool.file(config.encode()), "-batch", "-notext", "-preserveDN",
                     "-in", tool.file(request), "-md", self.digest, "-startdate", begin, "-enddate", end,
                     "-keyfile", tool.file(self.key), *pass_in(self.passphrase)]  # fmt: skip
            words += ["-selfsign"] if self.certificate is None else ["-cert", tool.file(self.certificate)]
            _prepare(folder)
            return tool.call(*words, passphrase=self.passphrase)

    def signed(self, certificate: bytes) -> bool:
        """Is the signature this signer's? When it ends does not count."""
        with openssl() as tool:
            authority = tool.file(self.certificate or certificate)
            words = ["verify", "-no_check_time", "-partial_chain", "-trusted", authority, tool.file(certificate)]
            return tool.succeeds(*words)


def names_keys_itself() -> bool:
    """Since 3.0 openssl adds both key identifiers unless it is told `none`, a word that it did not know before."""
    found = re.match(r"OpenSSL (\d+)", run(["openssl", "version"]).stdout)
    return found is not None and int(found.group(1)) >= 3


def _prepare(folder: str) -> None:
    """What `openssl ca` keeps its books in: they go with the directory."""
    os.mkdir(folder, 0o700)
    for name, text in (("index.txt", ""), ("serial", "01" + os.urandom(18).hex())):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)


def _configuration(folder: str, extensions: List[str]) -> str:
    lines = ["[ca]", "default_ca = one", "[one]", "database = %s/index.txt" % folder, "new_certs_dir = " + folder,
             "serial = %s/serial" % folder,
             "unique_subject = no", "policy = any_name", "copy_extensions = copyall", "email_in_dn = yes",
             "default_days = 1"]  # fmt: skip
    lines += ["x509_extensions = extensions"] if extensions else []
    lines += ["[any_name]", *(name + " = optional" for name in ANY_NAME)]
    return "\n".join([*lines, *(["[extensions]", *extensions] if extensions else [])]) + "\n"


def moment(text: str, name: str, now: float) -> str:
    """`+3650d`, `-1w2d` or 20301231235959Z as openssl takes it."""
    if ABSOLUTE.match(text):
        return text
    match = RELATIVE.match(text)
    if match is None or len(text) < 2:
        raise ModuleFailure("%s is %r, and not a moment: 20301231235959Z, or relative, as +52w or -1d" % (name, text))
    seconds = sum(int(number or 0) * unit for number, unit in zip(match.groups()[1:], SECONDS))
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + (seconds if match.group(1) == "+" else -seconds)))


def validity(certificate: bytes) -> Dict[str, Any]:
    """{"notBefore", "notAfter" (YYYYMMDDHHMMSSZ), "serial_number"}."""
    with openssl() as tool:
        words = ("x509", "-in", tool.file(certificate), "-noout", "-startdate", "-enddate", "-serial")
        text = tool.call(*words).decode()
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    return {"notBefore": _compact(found["notBefore"]), "notAfter": _compact(found["notAfter"]),
            "serial_number": int(found["serial"], 16)}  # fmt: skip


def is_over(not_after: str, now: float) -> bool:
    return calendar.timegm(time.strptime(not_after, "%Y%m%d%H%M%SZ")) < now


def _compact(text: str) -> str:
    """`Nov  2 21:40:00 2026 GMT` as 20261102214000Z."""
    return time.strftime("%Y%m%d%H%M%SZ", time.strptime(text, "%b %d %H:%M:%S %Y GMT"))
