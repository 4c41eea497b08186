"""Containers: whether Docker hands GPUs on, keeps them, does so safely, and whether images run on this driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wxops.audit import require_cuda
from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import (
    compute_capabilities,
    cuda_floor,
    driver_cuda,
    driver_of,
    driver_upgrade,
    released_with,
    safe_container_toolkit,
)
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.software import ContainerRuntime, Image, ImageToDeploy
from wxops.audit.subjects import NO_ANSWER, NO_GPU, missing, nvidia_cards
from wxops.audit.versions import version


def runtime_of(host: HostRecord) -> ContainerRuntime | Judgement:
    """What runs GPU containers here, or what is to be said instead."""
    if not host.runtime.known or host.runtime.value is None:
        return missing("containers", host.runtime, "what runs containers")
    if not host.gpus and not nvidia_cards(host):
        return skipped("containers", NO_GPU)
    found = host.runtime.value
    if not (found.docker or found.containerd or found.podman):
        return skipped("containers", "neither Docker nor containerd nor Podman is installed")
    return found


def engine_of(runtime: ContainerRuntime) -> str:
    return "docker" if runtime.docker else "containerd" if runtime.containerd else "podman"


@rule(
    "container.toolkit-safe",
    area="container",
    severity="fail",
    title="The container toolkit is not the one that a container can break out of",
    why="CVE-2025-23266: up to 1.17.7 a container's image may run code as root on the host.",
    source="compat.yaml: container_toolkit.cve-2025-23266; NVIDIA/nvidia-container-toolkit advisories",
)
def toolkit_safe(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    runtime = runtime_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
    elif not runtime.toolkit:
        yield skipped("container toolkit", "it is not installed")
    elif (found := version(runtime.toolkit)) is None:
        yield undetermined("container toolkit", f"version {runtime.toolkit!r} is no number")
    elif (row := safe_container_toolkit(known)) is None:
        yield undetermined("container toolkit", f"the table of {known.tables.collected} names no safe release")
    elif found < row[0]:
        fix = f"upgrade nvidia-container-toolkit to {row[0]} or later, then restart {engine_of(runtime)}"
        yield failed("container toolkit", f"{found}: CVE-2025-23266, fixed in {row[0]}", fix, row[1])
    else:
        yield passed("container toolkit", f"{found}, CVE-2025-23266 is fixed since {row[0]}")


@rule(
    "container.gets-gpus",
    area="container",
    severity="fail",
    title="Containers can be given GPUs",
    why="Without the nvidia runtime or a CDI specification `--gpus all` fails with 'could not select device driver'.",
    source="NVIDIA Container Toolkit installation guide, Configuring Docker; Support for Container Device Interface",
)
def gets_gpus(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    runtime = runtime_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
        return
    engine = engine_of(runtime)
    if not runtime.toolkit and not runtime.cdi:
        fix = f"install nvidia-container-toolkit, then nvidia-ctk runtime configure --runtime={engine}"
        yield failed(engine, "nvidia-container-toolkit is not installed", fix)
    elif not runtime.nvidia_runtime and not runtime.cdi:
        fix = f"nvidia-ctk runtime configure --runtime={engine}, then systemctl restart {engine}"
        yield failed(engine, f"toolkit {runtime.toolkit}, but no nvidia runtime and no CDI specification", fix)
    else:
        ways = ["the nvidia runtime"] if runtime.nvidia_runtime else []
        ways += [f"CDI ({', '.join(spec.path for spec in runtime.cdi)})"] if runtime.cdi else []
        yield passed(engine, f"by {' and '.join(ways)}")


@rule(
    "container.cdi-of-driver",
    area="container",
    severity="fail",
    title="CDI specifications are of the driver that is loaded",
    why="A specification names the driver's libraries by version; after an upgrade its containers do not start.",
    source="NVIDIA Container Toolkit documentation, Support for Container Device Interface",
)
def cdi_of_driver(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    runtime, driver = runtime_of(host), driver_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
        return
    specs = [spec for spec in runtime.cdi if spec.kind.startswith("nvidia.com/")]
    if not specs:
        yield skipped("CDI", "there is no CDI specification of NVIDIA's")
    for spec in specs:
        if driver is None:
            yield skipped(spec.path, NO_ANSWER)
        elif not spec.driver_version:
            yield undetermined(spec.path, "the driver's version could not be read in it")
        elif spec.driver_version != driver.text:
            fix = f"nvidia-ctk cdi generate --output={spec.path}"
            yield failed(spec.path, f"of driver {spec.driver_version}, loaded is {driver}", fix)
        else:
            yield passed(spec.path, f"of driver {driver}, {len(spec.devices)} devices")


@rule(
    "container.image-runs",
    area="container",
    severity="fail",
    title="The driver is what each image's NVIDIA_REQUIRE_CUDA asks for, also of those that are to be deployed",
    why="The toolkit refuses a container whose requirement does not hold, even where CUDA's own rules allow it.",
    source="compat.yaml: cuda_container_requirements; docker/model-runner#978; NVIDIA/nvidia-container-toolkit#213",
)
def image_runs(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if host.gpus or nvidia_cards(host):
        for each in host.to_deploy:
            yield _to_deploy(host, known, each)
    runtime = runtime_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
        return
    if not runtime.images.known:
        said = missing("images", runtime.images, "which images are here")
        yield replace(said, fix="systemctl start docker") if runtime.images.detail == "Docker does not run" else said
        return
    asking = [image for image in runtime.images.value or () if image.require_cuda]
    if not asking:
        yield skipped("images", "none of them asks for a driver")
    good = []
    for image in asking:
        judgement = _image(host, known, image, f"image {image.name}")
        if judgement.evidence == FINE:
            good.append(image.name)
        else:
            yield judgement
    if good:
        yield passed("images", f"{len(good)} run on driver {driver_of(host)}: {', '.join(sorted(good))}")


FINE = "its requirement holds"


def _to_deploy(host: HostRecord, known: Knowledge, wanted: ImageToDeploy) -> Judgement:
    """Whatever runs containers here by then, the driver is there already."""
    subject, image = f"image {wanted.name}, to be deployed", wanted.image
    if wanted.platform not in wanted.platforms:
        return skipped(subject, f"it is not for {wanted.platform}, see container.image-platform")
    if image is None:
        return undetermined(subject, f"what it asks for on {wanted.platform} is not read")
    if not image.require_cuda:
        return skipped(subject, "it asks for no driver: NVIDIA_REQUIRE_CUDA is not set in it")
    judgement = _image(host, known, image, subject)
    if judgement.evidence == FINE:
        return passed(subject, f"asks for {image.require_cuda.split()[0]}, it runs on driver {driver_of(host)}")
    return judgement


def _image(host: HostRecord, known: Knowledge, image: Image, subject: str) -> Judgement:
    driver, cuda = driver_of(host), driver_cuda(host)
    if image.disable_require:
        return skipped(subject, "it sets NVIDIA_DISABLE_REQUIRE: its requirement is not asked")
    if driver is None or cuda is None:
        return skipped(subject, NO_ANSWER)
    try:
        asked = require_cuda.parse(image.require_cuda)
    except ValueError as error:
        return undetermined(subject, f"NVIDIA_REQUIRE_CUDA: {error}")
    names = {brand for gpu in host.gpus if gpu.name.value for brand in require_cuda.brands(gpu.name.value)}
    ccs = compute_capabilities(host)
    if asked.holds(require_cuda.Given(cuda, driver, tuple(names), ccs[0] if ccs else None)):
        return passed(subject, FINE)
    floor = cuda_floor(known, asked.cuda) if asked.cuda else None
    allowed = floor is not None and driver >= floor.min_driver_linux
    evidence = f"asks for {image.require_cuda.split()[0]}, driver {driver} is of CUDA {cuda}"
    if allowed:
        evidence += "; CUDA's minor-version compatibility would allow it, the toolkit does not"
    at_least = released_with(known, asked.cuda) if asked.cuda else None
    fix = driver_upgrade(known, host, at_least) if at_least else f"use an image for CUDA {cuda.first(2)} or older"
    return failed(subject, evidence, fix)


@rule(
    "container.image-platform",
    area="container",
    severity="fail",
    title="An image that is to be deployed is there for the host's processor",
    why="A pull ends with 'no matching manifest', or the container with 'exec format error'.",
    source="OCI image specification, Image Index: platform; docs/audit.md, --image",
)
def image_platform(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.to_deploy:
        yield skipped("images", "none is to be deployed (--image)")
    for wanted in host.to_deploy:
        subject = f"image {wanted.name}, to be deployed"
        if wanted.platform in wanted.platforms:
            yield passed(subject, f"it is there for {wanted.platform}")
        elif not host.system.architecture:
            yield undetermined(subject, "which processor this host has could not be read")
        else:
            fix = f"build it for {wanted.platform}, or use a host of {wanted.platforms[0]}"
            yield failed(subject, f"it is there for {', '.join(wanted.platforms)}, not for {wanted.platform}", fix)


@rule(
    "container.keeps-gpus",
    area="container",
    severity="fail",
    title="Running containers keep their GPUs when systemd reloads",
    why="With the systemd cgroup driver and no links in /dev/char, `systemctl daemon-reload` takes the GPUs away: "
    "'Failed to initialize NVML: Unknown Error'. Installing any unit or timer reloads.",
    source="compat.yaml: container_toolkit.daemon-reload-loses-gpu; NVIDIA/nvidia-container-toolkit#48",
)
def keeps_gpus(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    runtime = runtime_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
        return
    users = [each.name for each in runtime.containers.value or () if each.gpu]
    engine = engine_of(runtime)
    if not runtime.nvidia_runtime and not runtime.cdi:
        yield skipped(engine, "containers get no GPUs here, see container.gets-gpus")
    elif runtime.cgroup_driver and runtime.cgroup_driver != "systemd":
        yield passed(engine, f"cgroup driver {runtime.cgroup_driver}")
    elif runtime.device_links:
        yield passed(engine, "/dev/char has the links")
    elif runtime.cdi and not runtime.nvidia_runtime:
        yield passed(engine, "GPUs are given by CDI")
    elif not runtime.cgroup_driver:
        yield undetermined(engine, "which cgroup driver it uses could not be read")
    else:
        fix = "nvidia-ctk system create-dev-char-symlinks --create-all, and at each boot by a udev rule"
        evidence = "systemd cgroup driver, no links in /dev/char"
        if users:
            yield failed(engine, f"{evidence}; {', '.join(users)} would lose their GPUs", fix)
        elif runtime.containers.state == "unknown":
            yield warned(engine, f"{evidence}; whether a container has GPUs could not be read", fix)
        else:
            yield warned(engine, f"{evidence}; no container has GPUs now", fix)


@rule(
    "container.no-cgroups",
    area="container",
    severity="fail",
    title="no-cgroups is set for rootless containers, and only for them",
    why="With no-cgroups=true rootful containers see no device; without it rootless ones do not start.",
    source="compat.yaml: container_toolkit.no-cgroups; NVIDIA/nvidia-container-toolkit#580, #85",
)
def no_cgroups(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    runtime = runtime_of(host)
    if isinstance(runtime, Judgement):
        yield runtime
    elif not runtime.toolkit:
        yield skipped("container toolkit", "it is not installed")
    elif runtime.no_cgroups != runtime.rootless:
        wanted = str(runtime.rootless).lower()
        kind = "rootless" if runtime.rootless else "rootful"
        fix = f"nvidia-ctk config --in-place --set nvidia-container-cli.no-cgroups={wanted}"
        yield failed("container toolkit", f"no-cgroups={str(runtime.no_cgroups).lower()} with a {kind} engine", fix)
    else:
        yield passed("container toolkit", f"no-cgroups={str(runtime.no_cgroups).lower()}")
