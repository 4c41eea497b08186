"""The tables of compat.yaml as typed rows; each row knows its source, and whether it may fail an audit."""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
import yaml

from wxops.audit.versions import Version
from wxops.errors import InputError

FILE = Path(__file__).parent / "data" / "compat.yaml"
T = TypeVar("T")
Status = Literal["verified", "secondary", "unverified"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What each row has. status: its table's where it has none of its own.

    Structs, not dataclasses: Python compiles six functions for each of those, which took as long as to read the file.
    """

    status: Status = "verified"
    note: str = ""

    @property
    def certain(self) -> bool:
        """Whether an audit may fail by it."""
        return self.status == "verified"


class CudaFloor(Row, frozen=True, kw_only=True):
    """The oldest driver that runs programs of a CUDA major release."""

    cuda_major: int
    min_driver_linux: Version


class BundledDriver(Row, frozen=True, kw_only=True):
    """The driver that a toolkit was released with: it has all that the toolkit can use."""

    cuda: Version
    update: str
    driver: Version | None


class Architecture(Row, frozen=True, kw_only=True):
    """A GPU architecture, its compute capabilities, and the toolkits and driver branches that know it."""

    arch: str
    cc: tuple[Version, ...]
    cuda_first: Version | None = None
    cuda_last: Version | None = None
    driver_last_branch: Version | None = None


class CudnnCuda(msgspec.Struct, frozen=True, kw_only=True):
    """What one cuDNN release needs with one CUDA major. cc: compute capabilities; where cc_min is given, all above."""

    major: int
    minors: tuple[str, ...]
    min_driver: Version
    cc: tuple[Version, ...] = ()
    cc_min: Version | None = None


class Cudnn(Row, frozen=True, kw_only=True):
    """One cuDNN release."""

    version: Version
    cuda: tuple[CudnnCuda, ...]
    also: tuple[Version, ...] = ()


class FirstCudnn(Row, frozen=True, kw_only=True):
    """The first release for a CUDA major."""

    version: Version


class TorchBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One official build of a PyTorch release, and the libraries that it was built with."""

    cuda: Version
    cudnn: Version | None = None
    nccl: Version | None = None
    channel: str = ""
    pypi_default: bool = False


class TorchRelease(Row, frozen=True, kw_only=True):
    """A PyTorch release. python: the oldest and the newest that it supports."""

    torch: Version
    builds: tuple[TorchBuild, ...]
    python: tuple[Version, Version] | None = None
    python_experimental: Version | None = None


class TorchCode(Row, frozen=True, kw_only=True):
    """For which GPUs the official builds hold machine code (sass), and from which on code to compile (ptx)."""

    torch: tuple[Version, ...]
    cuda: Version
    sass: tuple[Version, ...]
    ptx: Version | None = None


class Feature(Row, frozen=True, kw_only=True):
    """From which compute capability on GPUs have a feature."""

    feature: str
    min_cc: Version


class Mig(Row, frozen=True, kw_only=True):
    """A GPU that can be divided. gpu: a word of its name; min_driver: None where none is named."""

    gpu: str
    max_instances: int
    min_driver: Version | None = None


class MemoryErrors(Row, frozen=True, kw_only=True):
    """How GPUs mend their memory. gpus: words of their names."""

    gpus: tuple[str, ...]
    row_remapping: bool
    retired_pages: bool = False


class OpenSSLBranch(Row, frozen=True, kw_only=True):
    """A branch of OpenSSL's own. eol: "" where none is told."""

    branch: Version
    eol: str = ""


class DriverBranch(Row, frozen=True, kw_only=True):
    """A driver branch. kind: LTSB, PB (production), NFB (new features); eol: a day or a month."""

    branch: Version
    kind: str
    eol: str
    latest_seen: Version | None = None

    @property
    def ends(self) -> date:
        return last_day(self.eol)


class Xid(Row, frozen=True, kw_only=True):
    """An XID error. action: what to do at once; investigate: what to do if it comes again."""

    code: int
    mnemonic: str
    description: str
    action: str | None
    investigate: str | None = None


class NvmlError(Row, frozen=True, kw_only=True):
    """What an error of the management library means, and what mends it."""

    error: str
    text: str
    fix: str


class OsLife(Row, frozen=True, kw_only=True):
    """An operating system's release. eol: of its maker's free security updates; extended: of those under other terms.

    extended_free: they cost nothing and need no subscription (Debian LTS).
    """

    os: str
    version: Version
    eol: str
    extended: str = ""
    extended_free: bool = False


class AmdDriver(Row, frozen=True, kw_only=True):
    """The ROCm releases that a release of AMD's driver is for."""

    driver: Version
    rocm: tuple[Version, ...]


class AmdModule(Row, frozen=True, kw_only=True):
    """Which release of AMD's driver a version of the amdgpu kernel module is from."""

    module: Version
    driver: Version


class ToolkitRule(Row, frozen=True, kw_only=True):
    """A fault of the container toolkit. fixed: the first release without it, None where none is named."""

    id: str
    fixed: Version | None = None


class ForwardCompat(Row, frozen=True, kw_only=True):
    """Which cuda-compat packages work over which driver branches. rows: by package; C, NA or X for each column."""

    source: str
    driver_columns: tuple[str, ...]
    driver_native_cuda: dict[str, Version]
    rows: dict[str, tuple[Literal["C", "NA", "X"], ...]]


class DeprecatedName(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that has another name since a PyTorch release."""

    name: str
    use: str
    from_torch: Version


class AllocConf(msgspec.Struct, frozen=True, kw_only=True):
    """What PyTorch's allocator takes in PYTORCH_ALLOC_CONF."""

    source: str
    bool_keys: tuple[str, ...]
    number_keys: tuple[str, ...]
    minimum: dict[str, int]
    fraction_keys: tuple[str, ...]
    other_keys: tuple[str, ...]
    backends: tuple[str, ...]
    deprecated_name: DeprecatedName

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.bool_keys, *self.number_keys, *self.fraction_keys, *self.other_keys)


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """All tables. sources: the table's key -> where it stands; collected: when they were read.

    gpus: names by compute capability.
    """

    collected: date
    sources: Mapping[str, str]
    cuda_floors: tuple[CudaFloor, ...]
    bundled_drivers: tuple[BundledDriver, ...]
    architectures: tuple[Architecture, ...]
    cudnn: tuple[Cudnn, ...]
    first_cudnn_of_cuda13: FirstCudnn
    torch: tuple[TorchRelease, ...]
    torch_code: tuple[TorchCode, ...]
    torch_code_aarch64: tuple[TorchCode, ...]
    features: tuple[Feature, ...]
    gpus: dict[str, tuple[str, ...]]
    mig: tuple[Mig, ...]
    memory_errors: tuple[MemoryErrors, ...]
    openssl_branches: tuple[OpenSSLBranch, ...]
    driver_branches: tuple[DriverBranch, ...]
    forward_compat: ForwardCompat
    container_toolkit: tuple[ToolkitRule, ...]
    xids: tuple[Xid, ...]
    nvml_errors: tuple[NvmlError, ...]
    replays_per_minute: float
    alloc_conf: AllocConf
    os_lifecycle: tuple[OsLife, ...]
    amd: tuple[AmdDriver, ...]
    amd_modules: tuple[AmdModule, ...]

    @staticmethod
    @functools.cache
    def load() -> Tables:
        """The tables that wxops brings."""
        return read(FILE)


# Where each table stands in the file, as keys from its top.
PLACES = {
    "cuda_floors": "cuda_minor_version_compat.rows",
    "bundled_drivers": "cuda_toolkit_bundled_driver.rows",
    "architectures": "architectures.rows",
    "cudnn": "cudnn.rows",
    "first_cudnn_of_cuda13": "cudnn.first_cuda13",
    "torch": "pytorch.rows",
    "torch_code": "pytorch.arch_lists.rows",
    "torch_code_aarch64": "pytorch.arch_lists.aarch64_rows",
    "features": "features_by_cc.rows",
    "gpus": "gpus.by_cc",
    "mig": "mig.rows",
    "memory_errors": "memory_error_management.rows",
    "openssl_branches": "openssl_branches.rows",
    "driver_branches": "driver_branches.rows",
    "forward_compat": "forward_compat",
    "container_toolkit": "container_toolkit.rules",
    "xids": "xid.rows",
    "nvml_errors": "nvml_errors.rows",
    "replays_per_minute": "pcie.replays_per_minute",
    "alloc_conf": "alloc_conf",
    "os_lifecycle": "os_lifecycle.rows",
    "amd": "amd.rows",
    "amd_modules": "amd.modules.rows",
    "collected": "collected",
}


def read(path: Path) -> Tables:
    """The tables of a file. Raises InputError that names the key which cannot be taken."""
    raw = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    values: dict[str, Any] = {}
    for name, place in PLACES.items():
        values[name] = _with_status(raw, place.split("."), path)
    values["sources"] = {key: value.get("source", "") for key, value in raw.items() if isinstance(value, dict)}
    return convert(values, Tables, path, PLACES)


def convert(values: Any, kind: type[T], path: Path | str, places: Mapping[str, str] | None = None) -> T:
    """Plain values as a typed one. Raises InputError with the file and the key that is wrong.

    places: what a key at the top is called in the file.
    """
    try:
        return msgspec.convert(values, kind, dec_hook=_version)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$.")
        key = re.match(r"\w*", place)[0]  # type: ignore[index]
        where = (places or {}).get(key, key) + place[len(key) :].rstrip("`")
        raise InputError(f"{where or 'the file'}: {what}", where=str(path)) from None


def _version(kind: type, value: Any) -> Any:
    if kind is Version and isinstance(value, str):
        return Version(value)
    raise ValueError(f"{value!r} is not a version in quotes")


def _with_status(raw: Mapping[str, Any], keys: list[str], path: Path) -> Any:
    """What stands at the keys; rows without a status get that of the table around them."""
    here, status = raw, "verified"
    for key in keys:
        if not isinstance(here, Mapping) or key not in here:
            raise InputError(f"{'.'.join(keys)}: {key} is not there", where=str(path))
        status = here.get("status", status)
        here = here[key]
    if isinstance(here, list):
        return [{"status": status, **cast(dict[str, Any], row)} if isinstance(row, dict) else row for row in here]
    return here


def last_day(text: str) -> date:
    """2026-02 is the last of February; a whole date is itself."""
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:
        return date(*parts)
    year, month = parts
    return date(year, month, calendar.monthrange(year, month)[1])
