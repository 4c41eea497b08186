"""The wheels of what is installed here: what an image is built from without a package index.

The versions are those of the running environment, so an image serves with the libraries that the tests ran with, and a
CPU build of PyTorch here is a CPU build there: never the gigabytes of CUDA libraries that its bare name stands for.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wxops.errors import LabError
from wxops.lab.command import run

BUILD_BACKEND = "hatchling>=1.25"


def installed_pins(name: str, extra: str = "") -> list[str]:
    """`name==version` of all that the installed package `name` needs with its `extra`, itself left out, sorted."""
    found: dict[str, str] = {}
    waiting = _needs(_installed(name), extra)
    while waiting:
        needed = waiting.pop()
        if needed not in found:
            package = _installed(needed)
            found[needed] = package.version
            waiting |= _needs(package)
    return sorted(f"{needed}=={version}" for needed, version in found.items())


def collect_wheels(pins: list[str], folder: Path) -> None:
    """Have pip fetch exactly these wheels, and those that building a package takes, from where it is set up to."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--dest={folder}")
    run(*pip, "--no-deps", *pins)
    run(*pip, BUILD_BACKEND)


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise LabError(f"{name} is not installed in {sys.prefix}.", fix="Run `make setup`.") from None


def _needs(package: Distribution, extra: str = "") -> set[str]:
    """The direct dependencies that apply on this machine; of extras only those of `extra`."""
    required = map(Requirement, package.requires or [])
    applies = {"extra": extra}
    return {canonicalize_name(one.name) for one in required if one.marker is None or one.marker.evaluate(applies)}
