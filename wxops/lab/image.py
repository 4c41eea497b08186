"""The image of the runtime container, built from runtime/Dockerfile with no public registry and served by the lab's.

Base image, wheels and build are this machine's own work; the result is kept as files (image_store.py) under a digest of
all that decides its content, so that what has not changed is never built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from docker import DockerClient
from docker.errors import BuildError, ImageNotFound

from wxops.errors import LabError
from wxops.lab.command import run
from wxops.lab.dockerd import docker_engine
from wxops.lab.image_store import StoredImage, push_image, store_image
from wxops.lab.rootfs import SUITE, apt_settings, apt_sources, cache_folder
from wxops.lab.wheels import collect_wheels, installed_pins

RUNTIME = Path(__file__).parents[2] / "runtime"
NAME = "wxruntime"
ENGINE = "transformers"  # the extra whose libraries runtime/Dockerfile puts in
LIBRARIES = f"{NAME}-libraries"
# Debian's slim image, as its makers thin it: no documents, no translations.
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
BASE_WITHOUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# In a build's context: the Dockerfile's own ignore list keeps out the rest.
SOURCES = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "wxruntime/**/*.py", "wxruntime/**/*.yaml")
REVISION = 1  # raise it when the way of building changes: the rest of the recipe notices its own changes


def runtime_image(registry: str) -> str:
    """The runtime image's reference by digest in `registry` (HOST:PORT), which then holds it."""
    return push_image(stored_runtime_image(), registry, NAME)


def stored_runtime_image() -> StoredImage:
    """The runtime image in the lab's cache, built first (about two minutes, then seconds) where it is missing."""
    recipe = Recipe.of_this_tree()
    cache = cache_folder() / "images"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{NAME}-{recipe.digest}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in cache.glob(f"{NAME}-*"):
                shutil.rmtree(old)
            partial = cache / f"{NAME}-partial"
            _build(recipe, cache, partial)
            partial.rename(folder)
    return StoredImage(folder)


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in the image."""

    sources: dict[str, str]  # path below runtime/: sha256
    wheels: tuple[str, ...]
    suite: str = SUITE
    base: str = BASE_PACKAGES
    without: tuple[str, ...] = BASE_WITHOUT
    revision: int = REVISION

    @classmethod
    def of_this_tree(cls) -> Recipe:
        if not RUNTIME.is_dir():
            raise LabError("The runtime's sources are not here.", where=str(RUNTIME), fix="Use a checkout of wxops.")
        return cls({name: _sha256(RUNTIME / name) for name in _sources()}, tuple(installed_pins(NAME, ENGINE)))

    @cached_property
    def digest(self) -> str:
        return _short_digest(asdict(self))

    @property
    def base_tag(self) -> str:
        return f"wxops-lab-base:{_short_digest([self.suite, self.base, self.without, self.revision])}"


def _sources() -> list[str]:
    return sorted(str(path.relative_to(RUNTIME)) for pattern in SOURCES for path in RUNTIME.glob(pattern))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short_digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _build(recipe: Recipe, cache: Path, folder: Path) -> None:
    """The engine keeps the base and the libraries: a change of the server's sources builds neither again."""
    with tempfile.TemporaryDirectory(dir=cache) as scratch, docker_engine(cache / "docker") as engine:
        context = Path(scratch, "context")
        for name in recipe.sources:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(RUNTIME / name, context / name)
        collect_wheels(list(recipe.wheels), context / "wheelhouse")
        _have_base(engine, recipe, Path(scratch, "base.tar"))
        _docker_build(engine, context, recipe.base_tag, tag=LIBRARIES, target="libraries")
        _docker_build(engine, context, recipe.base_tag, tag=NAME)
        shutil.rmtree(folder, ignore_errors=True)  # of a build that was cut short
        store_image(engine.images.get(NAME).save(), folder)
        engine.images.prune()  # what the tags stood for before


def _have_base(engine: DockerClient, recipe: Recipe, archive: Path) -> None:
    """Import the base image, a Debian with Python and little else, unless the engine has it."""
    with contextlib.suppress(ImageNotFound):
        engine.images.get(recipe.base_tag)
        return
    _make_base(recipe, archive)
    repository, tag = recipe.base_tag.split(":")
    engine.api.import_image(str(archive), repository=repository, tag=tag)


def _make_base(recipe: Recipe, archive: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        raise LabError("mmdebstrap, which makes the base image, is not installed.", fix="Run `make setup`.")
    settings = archive.with_name("apt.conf")
    settings.write_text(apt_settings())
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={recipe.base}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.without),
        f"--aptopt={settings}",
        # How this machine reaches its mirror is nothing for an image.
        '--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list',
        recipe.suite,
        str(archive),
        *map(str, apt_sources()),
    )


def _docker_build(engine: DockerClient, context: Path, base: str, tag: str, target: str | None = None) -> None:
    """`docker build` of the context, with no network: what the wheelhouse lacks is an error, not a download."""
    try:
        engine.images.build(
            path=str(context), buildargs={"BASE": base}, network_mode="none", rm=True, tag=tag, target=target
        )
    except BuildError as error:
        said = "".join(line.get("stream") or line.get("error") or "" for line in error.build_log)
        raise LabError(
            "The image cannot be built: " + said[-1500:].strip(), where=str(RUNTIME / "Dockerfile")
        ) from None
