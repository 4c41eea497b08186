"""Variables that steer CUDA, ROCm and PyTorch, and where the host sets them. Of all others not even names are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

    from wxops.agent.facts.host import Host

    Setting = Dict[str, str]

NAMES = frozenset([
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_PATH", "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING", "CUDA_FORCE_PTX_JIT", "CUDA_DISABLE_PTX_JIT", "CUDA_CACHE_DISABLE",
    "CUDA_MPS_PIPE_DIRECTORY", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING", "TORCH_CUDA_ARCH_LIST", "NVIDIA_DISABLE_REQUIRE", "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_TF32_OVERRIDE", "LD_LIBRARY_PATH", "LD_PRELOAD", "NCCL_P2P_DISABLE",
    "NCCL_SHM_DISABLE", "NCCL_IB_DISABLE", "NCCL_NVLS_ENABLE", "NCCL_SOCKET_IFNAME", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "HABANA_VISIBLE_DEVICES",
])  # fmt: skip
ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(?P<name>[A-Z_][A-Z0-9_]*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;#]*)", re.M)
UNITS = "/etc/systemd/system"
IN_UNIT = re.compile(r"^\s*(?:Default)?Environment=(.*)$", re.MULTILINE)
FILE_OF_UNIT = re.compile(r"^\s*EnvironmentFile=-?(\S+)$", re.MULTILINE)
WORD = re.compile(r"\"([A-Z_][A-Z0-9_]*)=([^\"]*)\"|'([A-Z_][A-Z0-9_]*)=([^']*)'|([A-Z_][A-Z0-9_]*)=(\S*)")


def settings(host: Host, containers: Mapping[str, Sequence[str]]) -> List[Setting]:
    """containers: the environment (NAME=value) of those that run, by name."""
    found = [*_of_files(host), *_of_units(host)]
    for name, environment in containers.items():
        pairs = (entry.partition("=") for entry in environment)
        found += [_setting(key, value, "container " + name) for key, _, value in pairs if key in NAMES]
    return found


def _setting(name: str, value: str, where: str) -> Setting:
    return {"name": name, "value": value, "where": where}


def _of_files(host: Host) -> Iterator[Setting]:
    paths = ["/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc", "/root/.bashrc", "/root/.profile"]
    for folder, ending in (("/etc/environment.d", ".conf"), ("/etc/profile.d", ".sh")):
        paths += ["%s/%s" % (folder, name) for name in sorted(host.names(folder)) if name.endswith(ending)]
    paths += ["/home/%s/%s" % (user, name) for user in sorted(host.names("/home")) for name in (".bashrc", ".profile")]
    for path in paths:
        yield from (_setting(name, value, path) for name, value in assignments(host.read(path)))


def assignments(text: str) -> Iterator[Tuple[str, str]]:
    for match in ASSIGNMENT.finditer(text):
        if match["name"] in NAMES:
            yield match["name"], match["value"].strip("\"'")


def _of_units(host: Host) -> Iterator[Setting]:
    for unit, path in _unit_files(host):
        text = host.read(path)
        for line in IN_UNIT.findall(text):
            for words in WORD.findall(line):
                name, value = next((words[at], words[at + 1]) for at in (0, 2, 4) if words[at])
                if name in NAMES:
                    yield _setting(name, value, unit)
        for file in FILE_OF_UNIT.findall(text):
            yield from (_setting(name, value, "%s (%s)" % (unit, file)) for name, value in assignments(host.read(file)))


def _unit_files(host: Host) -> Iterable[Tuple[str, str]]:
    """Services of the administrator's, and what extends those of packages; the manager's own settings."""
    yield "systemd", "/etc/systemd/system.conf"
    for name in sorted(host.names(UNITS)):
        path = "%s/%s" % (UNITS, name)
        if name.endswith(".service"):
            yield name, path
        elif name.endswith(".service.d"):
            yield from ((name[:-2], "%s/%s" % (path, each)) for each in sorted(host.names(path)))


def values(found: Iterable[Setting], *names: str) -> List[str]:
    return [each["value"] for each in found if each["name"] in names and each["value"]]
