"""A scenario: what GPUs, driver, software and log a host has, told as data, and what an audit must find there.

A file of scenarios/ maps names to scenarios:

    a driver too old for the toolkit:
      driver: 470.256.02          # of the libraries and, unless `module` says otherwise, of the loaded module
      cuda: "11.4"                # what the driver says of itself
      gpus: [a100, a100]          # of kinds.yaml
      nvml: ["1 nvmlDeviceGetMigMode 1 1"]      # more lines for the simulated library
      toolkit: 12.8.0
      findings: [{rule: toolkit.driver-runs, verdict: fail, fix: "525.60.13"}]

In the areas of JUDGED an audit may find no failure that is not named here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KINDS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "kinds.yaml").read_text(encoding="utf-8"))
FIRST_BUS = 0x17
JUDGED = frozenset({"driver", "toolkit", "cudnn", "torch", "hardware"})
"""Areas of which a scenario says all; what a lab host's own system is like is not its business."""
MOUNTED = ("/sys/module", "/sys/bus/pci/devices", "/proc/driver")
"""Where the kernel would tell of a driver: there a scenario mounts a directory of its own over what the host has."""
PCI = "/sys/bus/pci/devices"


@dataclass(frozen=True)
class Scenario:
    """One host as a scenario file tells it. driver: "" for a host without NVIDIA's libraries."""

    name: str
    driver: str = ""
    cuda: str = ""
    module: str | None = None
    open_module: bool = True
    gpus: tuple[str, ...] = ()
    pci_only: tuple[str, ...] = ()
    nvml: tuple[str, ...] = ()
    toolkit: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    torch: tuple[Mapping[str, str], ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    kernel_log: tuple[str, ...] = ()
    policies: tuple[str, ...] = ("guide",)
    findings: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def all(cls) -> list[Scenario]:
        return [cls.of(name, told) for path in sorted((HERE / "scenarios").glob("*.yaml"))
                for name, told in yaml.safe_load(path.read_text(encoding="utf-8")).items()]  # fmt: skip

    @classmethod
    def of(cls, name: str, told: Mapping[str, Any]) -> Scenario:
        return cls(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})

    def library_text(self) -> str:
        """The file that the simulated library answers from."""
        return "\n".join([*self._system(), *self._gpus(), *self.nvml]) + "\n"

    def _system(self) -> Iterator[str]:
        major, _, minor = self.cuda.partition(".")
        yield f"* nvmlSystemGetDriverVersion {self.driver}"
        yield f"* nvmlSystemGetNVMLVersion {major}.{self.driver}"
        yield f"* nvmlSystemGetDriverBranch r{self.driver.split('.')[0]}_00"
        yield f"* nvmlSystemGetCudaDriverVersion {1000 * int(major or 0) + 10 * int(minor or 0)}"
        yield f"* nvmlDeviceGetCount {len(self.gpus)}"
        yield f"* nvmlDeviceGetGspFirmwareVersion {self.driver}"

    def _gpus(self) -> Iterator[str]:
        for index, name in enumerate(self.gpus):
            kind = dict(KINDS[name])
            vendor, device = kind.pop("pci").split(":")
            yield f"{index} nvmlDeviceGetPciInfo 0000{pci_address(index)} 0x{device}{vendor} 0x0"
            yield f"{index} nvmlDeviceGetUUID GPU-00000000-0000-0000-0000-{index:012d}"
            yield f"{index} nvmlDeviceGetSerial 16528260{index:05d}"
            yield f"{index} nvmlDeviceGetMinorNumber {index}"
            yield from _links(index, str(kind.pop("links")))
            yield from (f"{index} {call} {'-' if answer == '' else answer}" for call, answer in kind.items())

    def tree(self) -> dict[str, str]:
        """All files of the host that the scenario has, path -> text; those of the kernel too."""
        files = dict(self.files)
        module = self.driver if self.module is None else self.module
        if module:
            flavour = "Open Kernel Module" if self.open_module else "Kernel Module"
            files["/sys/module/nvidia/version"] = f"{module}\n"
            files["/proc/driver/nvidia/version"] = (
                f"NVRM version: NVIDIA UNIX {flavour} for x86_64  {module}  Release Build\nGCC version:  gcc 12.2.0\n"
            )
        for index, name in enumerate((*self.gpus, *self.pci_only)):
            vendor, device = KINDS[name]["pci"].split(":")
            folder = f"{PCI}/{pci_address(index)}"
            told = {"vendor": f"0x{vendor}", "device": f"0x{device}", "class": "0x030200",
                    "current_link_width": "16", "max_link_width": "16"}  # fmt: skip
            files.update({f"{folder}/{name}": f"{value}\n" for name, value in told.items()})
        if self.toolkit:
            told = {"cuda": {"name": "CUDA SDK", "version": self.toolkit}}
            files[f"{self._toolkit_path()}/version.json"] = json.dumps(told)
        for torch in self.torch:
            files.update(torch_files(torch))
        return files

    def all_links(self) -> dict[str, str]:
        """Symbolic links, path -> target; those of the kernel too."""
        links = dict(self.links)
        if self.toolkit:
            links["/usr/local/cuda"] = self._toolkit_path()
        if self.driver and self.module != "":
            links.update({f"{PCI}/{pci_address(index)}/driver": "../../../bus/pci/drivers/nvidia"
                          for index in range(len(self.gpus) + len(self.pci_only))})  # fmt: skip
        return links

    def _toolkit_path(self) -> str:
        return f"/usr/local/cuda-{'.'.join(self.toolkit.split('.')[:2])}"


def pci_address(index: int) -> str:
    """As sysfs writes it: 0000:17:00.0 is the first GPU's."""
    return f"0000:{FIRST_BUS + index:02x}:00.0"


def _links(index: int, told: str) -> Iterator[str]:
    count, _, how = told.partition(" ")
    for link in range(int(count)):
        yield f"{index} nvmlDeviceGetNvLinkState/{link} {int(how != 'down')}"
        yield f"{index} nvmlDeviceGetNvLinkVersion/{link} 6"
        yield f"{index} nvmlDeviceGetNvLinkRemoteDeviceType/{link} {0 if how == 'to GPUs' else 2}"
        yield f"{index} nvmlDeviceGetNvLinkErrorCounter/{link} 0"


def torch_files(told: Mapping[str, str]) -> dict[str, str]:
    """What pip leaves of a PyTorch and of the libraries that it brings along, without their code.

    told: path (of the environment), version, and optionally cuda, hip, cudnn, nccl, python.
    """
    python = told.get("python", "3.11")
    site = f"{told['path']}/lib/python{python}/site-packages"
    version, cuda = told["version"], told.get("cuda", "")
    files = {
        f"{told['path']}/pyvenv.cfg": f"home = /usr/bin\nversion = {python}.2\n",
        f"{site}/torch/__init__.py": "",
        f"{site}/torch/version.py": (
            f"__version__ = {version!r}\ndebug = False\ncuda: str | None = {cuda or None!r}\n"
            f"git_version = ''\nhip: str | None = {told.get('hip') or None!r}\n"
        ),
        f"{site}/torch-{version}.dist-info/METADATA": f"Metadata-Version: 2.4\nName: torch\nVersion: {version}\n",
    }
    major = told.get("cudnn_cuda", cuda.split(".")[0])
    for library in ("cudnn", "nccl"):
        if library in told:
            name = f"nvidia_{library}_cu{major}"
            files[f"{site}/{name}-{told[library]}.dist-info/METADATA"] = (
                f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: {told[library]}\n"
            )
            files[f"{site}/nvidia/{library}/lib/lib{library}.so.{told[library].split('.')[0]}"] = ""
    return files
