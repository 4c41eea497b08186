"""The software of GPUs in the record of a host: toolkits, libraries, PyTorch, and what runs containers."""

from __future__ import annotations

from dataclasses import dataclass, field

from wxops.audit.reading import Reading, unknown


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit on the host. in_use: /usr/local/cuda, CUDA_HOME or nvcc in PATH leads to it."""

    version: str
    path: str
    in_use: bool = False


@dataclass(frozen=True)
class Library:
    """A copy of a library that GPU programs load.

    name: cudart, cudnn, nccl, tensorrt, cublas, cuda-compat, nvrtc. cuda_major: for which CUDA it was built; 0 where
    its name does not say. owner: "system", or the path of the Python environment that it belongs to.
    """

    name: str
    version: str
    path: str
    cuda_major: int = 0
    owner: str = "system"


@dataclass(frozen=True)
class DeepCheck:
    """What happened when PyTorch was imported and used on one GPU. error: "" when all went well.

    device: "cuda:0 NVIDIA L4"; "" for the one check that tells that it could not even be imported.
    matmul_error, convolution_error: the largest relative difference from the reference on the CPU.
    """

    device: str
    error: str = ""
    seconds: float = 0.0
    matmul_error: float = 0.0
    convolution_error: float = 0.0


@dataclass(frozen=True)
class Torch:
    """A PyTorch that is installed somewhere on the host, read without importing it.

    place: "host", "container NAME" or "image NAME". path: its environment (sys.prefix or a site-packages directory).
    version: 2.13.0+cu130 as in its metadata. cuda, hip: of its build, "" for a CPU build. cudnn: the version that it
    loads, from its own nvidia-cudnn-cuXX package, else the library in its lib directory, else the system's.
    architectures: sm_90, compute_120, ... where they can be read or looked up. deep: only with `audit --deep`.
    """

    place: str
    path: str
    version: str
    python: str = ""
    cuda: str = ""
    hip: str = ""
    cudnn: str = ""
    nccl: str = ""
    architectures: Reading[tuple[str, ...]] = field(default_factory=unknown)
    deep: Reading[tuple[DeepCheck, ...]] = field(default_factory=unknown)


@dataclass(frozen=True)
class CdiSpec:
    """A CDI specification. driver_version: of the libraries which it mounts; devices: names as nvidia.com/gpu=0."""

    path: str
    kind: str
    driver_version: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image that the host has. require_cuda: its NVIDIA_REQUIRE_CUDA; disable_require: it is not to be asked."""

    name: str
    digest: str = ""
    require_cuda: str = ""
    disable_require: bool = False
    cuda_version: str = ""


@dataclass(frozen=True)
class ImageToDeploy:
    """An image of a registry that the host is to get. platform: the host's, as linux/amd64; platforms: the image's.

    image: what it is on this host; None where the registry has it for other platforms only, or it was not read.
    """

    name: str
    platform: str
    platforms: tuple[str, ...]
    image: Image | None = None


@dataclass(frozen=True)
class Container:
    """A container that runs. gpu: it was given GPUs, by the nvidia runtime, a device request or CDI."""

    name: str
    image: str
    gpu: bool = False


@dataclass(frozen=True)
class ContainerRuntime:
    """What runs containers, and how it hands GPUs to them. Versions are "" where a program is not installed.

    device_links: /dev/char has the symbolic links that keep a container's GPUs through `systemctl daemon-reload`.
    """

    docker: str = ""
    containerd: str = ""
    podman: str = ""
    toolkit: str = ""
    nvidia_runtime: bool = False
    default_runtime: str = ""
    cgroup_driver: str = ""
    rootless: bool = False
    no_cgroups: bool = False
    device_links: bool = False
    cdi: tuple[CdiSpec, ...] = ()
    images: Reading[tuple[Image, ...]] = field(default_factory=unknown)
    containers: Reading[tuple[Container, ...]] = field(default_factory=unknown)
