"""Ubuntu's personal package archives: what `ppa:OWNER/NAME` stands for, and the key that signs it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wxops.agent.debian.openpgp import NotAKey, keys_in
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import OK, Web

if TYPE_CHECKING:
    from typing import Optional

ARCHIVES = "https://ppa.launchpadcontent.net"
LAUNCHPAD = "https://api.launchpad.net/1.0"
KEYSERVER = "https://keyserver.ubuntu.com"


class Archive:
    """One archive, for the release with this code name."""

    def __init__(self, text: str, codename: Optional[str]) -> None:
        self.owner, _, name = text.partition(":")[2].partition("/")
        self.name = name.partition("/")[0] or "ppa"
        self.codename = codename or _own_codename()
        self.source = "deb %s/%s/%s/ubuntu %s main" % (ARCHIVES, self.owner, self.name, self.codename)

    @property
    def key_file(self) -> str:
        """Where apt looks for keys that it trusts."""
        return "/etc/apt/trusted.gpg.d/%s-%s.asc" % (self.owner, self.name)


def signing_key(owner: str, name: str, web: Web, launchpad: str = LAUNCHPAD, keyserver: str = KEYSERVER) -> bytes:
    """The archive's public key, armored, by the fingerprint that Launchpad names. Raises ModuleFailure."""
    about = _get(web, "%s/~%s/+archive/%s" % (launchpad, owner, name), "failed to fetch PPA information")
    fingerprint = str(json.loads(about.decode("utf-8"))["signing_key_fingerprint"])
    query = "/pks/lookup?op=get&options=mr&search=0x"
    key = _get(web, keyserver + query + fingerprint, "Unable to get required signing key")
    try:
        found = {each.fingerprint for each in keys_in(key)}
    except NotAKey as error:
        raise ModuleFailure("Unable to get required signing key: %s" % error) from None
    if found != {fingerprint.upper()}:
        raise ModuleFailure("%s does not have the key %s" % (keyserver, fingerprint))
    return key


def _get(web: Web, url: str, problem: str) -> bytes:
    answer = web.get(url)
    if answer.status != OK:
        raise ModuleFailure("%s, error was: %s" % (problem, answer.message))
    return answer.content().read()


def _own_codename() -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = (line.strip().partition("=") for line in file)
                found = {name: value.strip("\"'") for name, _, value in lines}
            if found.get("VERSION_CODENAME"):
                return found["VERSION_CODENAME"]
    raise ModuleFailure("this host does not say its release's code name: give `codename`")
