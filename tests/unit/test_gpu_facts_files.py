"""What gpu_facts reads from files: a host is a directory, and what each part makes of it stands beside it as data.

A case in tests/unit/data/gpu_facts/PART.yml: name; files (path -> text; those in a bin directory can be run); links;
given (arguments of the part, beyond the host); expected. `bytes` in a file's place: {hex: ...}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.facts_host import host_of
from wxops.agent.facts.host import Host
from wxops.agent.gpu.amd import amd
from wxops.agent.gpu.cdi import cdi
from wxops.agent.gpu.engine import Engine
from wxops.agent.gpu.fabric_manager import fabric_manager
from wxops.agent.gpu.gaudi import gaudi
from wxops.agent.gpu.kernel import module_on_disk, nouveau_loaded, nvidia_module
from wxops.agent.gpu.kernel_log import kernel_log
from wxops.agent.gpu.libraries import libraries
from wxops.agent.gpu.nvml_library import find_library, version_in
from wxops.agent.gpu.openssl import offers, openssl
from wxops.agent.gpu.packages import installed, listed
from wxops.agent.gpu.pci import pci
from wxops.agent.gpu.processes import Processes
from wxops.agent.gpu.runtime import runtime
from wxops.agent.gpu.settings import settings
from wxops.agent.gpu.system import secure_boot
from wxops.agent.gpu.toolkits import toolkits
from wxops.agent.gpu.torches import Torches

DATA = Path(__file__).parent / "data" / "gpu_facts"
CASES = [(path.stem, case) for path in sorted(DATA.glob("*.yml")) for case in yaml.safe_load(path.read_text())]


def torches(host: Host, environments: list[str], running: bool = False) -> dict[str, Any]:
    found = Torches([library for library in libraries(host, installed(host), [], []) if library["name"] == "cudnn"])
    found.of_host(host, environments, Processes(host).all)
    libraries_found = [(each["name"], each["version"], each["cuda_major"], each["owner"]) for each in found.libraries]
    return {"torches": found.found, "libraries": [list(each) for each in libraries_found], "notes": found.notes}


def ssl(host: Host, containers: dict[str, str]) -> dict[str, Any]:
    here = installed(host)
    found = openssl(host, here, offers(host, here), Processes(host), containers)
    return {name: value for name, value in found.items() if name != "index_day"}  # of the files that a case just wrote


def run_time(host: Host, engine: dict[str, Any]) -> dict[str, Any]:
    docker = Engine(False, 1)
    if engine:
        docker.error = ""
    vars(docker).update(engine)
    return runtime(host, installed(host), docker)


PARTS: dict[str, Callable[..., Any]] = {
    "amd": lambda host: amd(host, pci(host)),
    "cdi": cdi,
    "fabric_manager": lambda host: fabric_manager(host, installed(host)),
    "gaudi": lambda host: gaudi(host, pci(host), installed(host)),
    "kernel": lambda host: [nvidia_module(host), module_on_disk(host), nouveau_loaded(host)],
    "kernel_log": kernel_log,
    "libraries": lambda host, kits=(), paths=(): libraries(host, installed(host), kits, paths),
    "nvml_library": lambda host: [find_library(host), version_in(find_library(host))],
    "openssl": lambda host, containers=None: ssl(host, containers or {}),
    "packages": lambda host: listed(installed(host)),
    "pci": pci,
    "runtime": lambda host, engine=None: run_time(host, engine or {}),
    "secure_boot": secure_boot,
    "settings": lambda host, containers=None: settings(host, containers or {}),
    "toolkits": lambda host, homes=(): toolkits(host, installed(host), homes),
    "torches": lambda host, environments=(): torches(host, list(environments)),
}


@pytest.mark.parametrize(("part", "case"), CASES, ids=[f"{part}: {case['name']}" for part, case in CASES])
def test_what_a_part_reads(part: str, case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {path: text for path, text in case.get("files", {}).items() if isinstance(text, str)}
    host = host_of(tmp_path, texts, case.get("links"))
    host.folders = dict.fromkeys(["/usr/local/bin", "/usr/bin", "/usr/sbin"])
    for path, text in case.get("files", {}).items():
        if not isinstance(text, str):
            place = tmp_path / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(bytes.fromhex(text["hex"]) + text.get("text", "").encode())
    assert PARTS[part](host, **case.get("given", {})) == case["expected"]


def test_every_part_has_cases() -> None:
    assert {part for part, _ in CASES} == set(PARTS)


def test_the_day_of_the_packages_lists_is_told(tmp_path: Path) -> None:
    assert openssl(Host(root=str(tmp_path)), {}, {}, Processes(Host()), {})["index_day"] == ""
    lists = tmp_path / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    os.utime(lists, (0, 1_772_323_200))
    assert openssl(Host(root=str(tmp_path)), {}, {}, Processes(Host()), {})["index_day"] == "2026-03-01"


def test_a_users_link_to_a_device_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").symlink_to("/dev/zero")
    assert Host(root=str(tmp_path)).read("/.bashrc") == ""
