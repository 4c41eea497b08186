"""An image's name as operators write it (`vllm/vllm-openai:v0.33.0`), taken apart as Docker does."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from wxops.errors import InputError

DOCKER_HUB, ITS_API = "docker.io", "registry-1.docker.io"
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?:(?P<registry>(?:localhost|\[[0-9a-fA-F:]+\]|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d))(?::\d{1,5})?)/)?"
    rf"(?P<repository>{_WORD}(?:/{_WORD})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_LOGIN = re.compile(r"[^/\s]*:[^/@\s]*@(?!sha256:)")


@dataclass(frozen=True)
class Reference:
    """name: as it was given. registry: with its port. A digest says more than a tag, which then does not count."""

    name: str
    registry: str
    repository: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, name: str) -> Reference:
        """Raises InputError for what is no image's name; a login that stands in it is not repeated."""
        found = _REFERENCE.fullmatch(name)
        if found is None:
            raise InputError(
                f"{_LOGIN.sub('***@', name)!r} is no image's name",
                where="--image",
                fix="write it as for `docker pull`: registry.example.com/team/model:1.0, or ...@sha256:DIGEST",
            )
        registry, repository = found["registry"] or DOCKER_HUB, found["repository"]
        if registry in (DOCKER_HUB, f"index.{DOCKER_HUB}"):
            registry = DOCKER_HUB
            repository = repository if "/" in repository else f"library/{repository}"
        return cls(name, registry, repository, found["tag"] or "latest", found["digest"] or "")

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def address(self) -> str:
        """Where the registry's API is."""
        return ITS_API if self.registry == DOCKER_HUB else self.registry

    @property
    def loopback(self) -> bool:
        return is_loopback(re.sub(r":\d+$", "", self.registry).strip("[]"))


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
