"""An image as its registry has it, without pulling it: for which platforms it is there, and its environment on each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from wxops.audit.image_reference import DOCKER_HUB, Reference
from wxops.audit.registry import Registry
from wxops.errors import InputError

READ = ("linux/amd64", "linux/arm64")
"""For which platforms an image's own words are read; GPU hosts of others are not known here."""
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]


@dataclass(frozen=True)
class PublishedImage:
    """An image of a registry. digest: REPOSITORY@sha256:...; platforms: those it is there for, as linux/amd64.

    environments: by platform (of READ), the variables that its containers start with, as NAME=value.
    """

    name: str
    digest: str
    platforms: tuple[str, ...]
    environments: dict[str, tuple[str, ...]]


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class _Descriptor(msgspec.Struct):
    digest: Digest
    platform: _Platform | None = None


class _Manifest(msgspec.Struct):
    """An index has manifests, a manifest has a config."""

    manifests: list[_Descriptor] | None = None
    config: _Descriptor | None = None


class _Run(msgspec.Struct):
    Env: list[str] | None = None


class _Config(msgspec.Struct):
    architecture: str
    os: str
    config: _Run | None = None


def published(name: str) -> PublishedImage:
    """Ask the registry that a name leads to. Raises InputError for one that is none, or that cannot be read."""
    reference = Reference.parse(name)
    registry = Registry(reference)
    raw = registry.manifest(reference.version)
    manifest = registry.decoded(raw, _Manifest)
    if manifest.manifests is None:
        config = _config(registry, manifest)
        configs = {f"{config.os}/{config.architecture}": config}
        platforms = list(configs)
    else:
        by_platform = _by_platform(manifest.manifests)
        platforms = sorted(by_platform)
        configs = {each: _config(registry, registry.decoded(registry.manifest(by_platform[each]), _Manifest))
                   for each in READ if each in by_platform}  # fmt: skip
    environments = {each: tuple(_environment(configs[each])) for each in READ if each in configs}
    if not environments:
        told = f"it is there for {', '.join(platforms) or 'no platform'}, and not for {' or '.join(READ)}"
        raise InputError(told, where=registry.where, fix="name an image for Linux")
    return PublishedImage(name, _digest(reference, raw), tuple(platforms), environments)


def _by_platform(manifests: list[_Descriptor]) -> dict[str, str]:
    """Digests. Of a platform's variants the first counts; what is for none tells how the others were built."""
    found = {str(each.platform): each.digest for each in reversed(manifests) if each.platform}
    return {platform: digest for platform, digest in found.items() if platform != "unknown/unknown"}


def _config(registry: Registry, manifest: _Manifest) -> _Config:
    if manifest.config is None:
        told = "its manifest names no configuration: it is of an old schema, or no image"
        raise InputError(told, where=registry.where, fix="push it again with a Docker of today")
    return registry.decoded(registry.blob(manifest.config.digest), _Config)


def _environment(config: _Config) -> list[str]:
    return (config.config.Env if config.config else None) or []


def _digest(reference: Reference, raw: bytes) -> str:
    """As Docker has it in RepoDigests."""
    place = "" if reference.registry == DOCKER_HUB else f"{reference.registry}/"
    return f"{place}{reference.repository}@sha256:{hashlib.sha256(raw).hexdigest()}"
