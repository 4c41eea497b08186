"""Images that are to be deployed, put beside what a host has: the rules judge them before anything is pulled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wxops.agent.gpu.engine import variable
from wxops.agent.gpu.torches import told_by_image
from wxops.audit.published_image import PublishedImage
from wxops.audit.reading import Reading, unknown
from wxops.audit.record import HostRecord
from wxops.audit.software import Image, ImageToDeploy, Torch

PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
"""What registries call the machine that `uname -m` names; others go by the same name."""


def with_images(host: HostRecord, images: Sequence[PublishedImage]) -> HostRecord:
    """The record with the images as they are for the host's machine, and the PyTorch that they say they have."""
    platform = PLATFORMS.get(host.system.architecture, f"linux/{host.system.architecture}")
    found = replace(host, to_deploy=tuple(_image(each, platform) for each in images))
    torches = [torch for each in images for torch in _torches(each, platform)]
    if not torches or not host.torches.known:
        return found
    return replace(found, torches=Reading((*(host.torches.value or ()), *torches)))


def _about(published: PublishedImage, platform: str) -> dict[str, Any] | None:
    """As Docker would tell of it, so that it is read as an image that is here."""
    environment = published.environments.get(platform)
    return None if environment is None else {"Config": {"Env": list(environment)}}


def _image(published: PublishedImage, platform: str) -> ImageToDeploy:
    about = _about(published, platform)
    image = None if about is None else Image(
        published.name, published.digest, variable(about, "NVIDIA_REQUIRE_CUDA"),
        bool(variable(about, "NVIDIA_DISABLE_REQUIRE")), variable(about, "CUDA_VERSION"),
    )  # fmt: skip
    return ImageToDeploy(published.name, platform, published.platforms, image)


def _torches(published: PublishedImage, platform: str) -> list[Torch]:
    about = _about(published, platform)
    told = told_by_image(about, f"image {published.name}, to be deployed") if about else []
    not_here: Reading[Any] = Reading(None, "not_supported", "it is not on this host yet")
    return [Torch(**{**each, "architectures": unknown("its layers are not pulled"), "deep": not_here}) for each in told]
