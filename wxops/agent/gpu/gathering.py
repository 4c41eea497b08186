"""One look at a GPU host: every part once, what waits beside what works, and none that takes the others with it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from wxops.agent.gpu.amd import amd
from wxops.agent.gpu.deep import deep
from wxops.agent.gpu.engine import NO_DOCKER, Engine, container_name, docker_runs, environment
from wxops.agent.gpu.fabric_manager import fabric_manager
from wxops.agent.gpu.gaudi import gaudi
from wxops.agent.gpu.kernel import module_on_disk, nouveau_loaded, nvidia_module
from wxops.agent.gpu.kernel_log import kernel_log
from wxops.agent.gpu.libraries import libraries
from wxops.agent.gpu.nvml import Nvml, unread
from wxops.agent.gpu.nvml_library import find_library
from wxops.agent.gpu.openssl import offers, openssl
from wxops.agent.gpu.packages import installed, listed
from wxops.agent.gpu.pci import NVIDIA, pci
from wxops.agent.gpu.processes import Processes
from wxops.agent.gpu.reading import not_supported, read, unknown
from wxops.agent.gpu.runtime import runtime
from wxops.agent.gpu.settings import settings, values
from wxops.agent.gpu.system import disks, system
from wxops.agent.gpu.toolkits import toolkits
from wxops.agent.gpu.torches import Torches, names_by_id

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence

    from wxops.agent.facts.host import Host


class Later:
    """A part that mostly waits, for a command or a daemon: it begins at once, and `result` is had when it is needed."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._found: List[Any] = []
        self._thread = threading.Thread(target=lambda: self._found.append(work()), daemon=True)
        self._thread.start()

    def result(self) -> Any:
        self._thread.join()
        return self._found[0]


class Gathering:
    """`record` grows part by part. A part that fails leaves a note, and its section says that it is unknown."""

    def __init__(self, host: Host, deadline: float, environments: Sequence[str], images: bool) -> None:
        self.host, self.deadline, self.environments, self.images = host, deadline, environments, images
        self.started, self.clock = time.gmtime(), time.monotonic()
        self.record: Dict[str, Any] = {"notes": []}
        self.installed: Dict[str, Any] = {}

    def gather(self) -> Dict[str, Any]:
        host = self.host
        driver = self._ask_driver()
        engine = Later(lambda: Engine(docker_runs(host), self.deadline))
        for name, part in (("system", system), ("disks", disks), ("pci", pci), ("nvidia_module", nvidia_module),
                           ("nouveau_loaded", nouveau_loaded)):  # fmt: skip
            self.plain(name, part, host)
        nvidia = driver is not None or self._has_nvidia()
        log = Later(lambda: self.attempt("xids", kernel_log, host)) if nvidia else None
        on_disk = Later(lambda: self.attempt("nvidia_module_on_disk", module_on_disk, host)) if nvidia else None
        self.installed = self.attempt("packages", installed, host) or {}
        self.section("packages", listed, self.installed)
        offered = Later(lambda: self.attempt("openssl", offers, host, self.installed))
        processes = self._processes()
        if nvidia:
            self.plain("fabric_manager", fabric_manager, host, self.installed)
        self._others()
        self._software(engine.result(), processes)
        self.section("openssl", openssl, host, self.installed, offered.result() or {}, processes,
                     names_by_id(engine.result()))  # fmt: skip
        self._errors(log)
        self.record["nvidia_module_on_disk"] = (on_disk.result() if on_disk else "") or ""
        if nvidia:
            self.plain("nvidia", driver.record if driver else lambda: unread("NVML_ERROR_LIBRARY_NOT_FOUND"))
        return self.ended()

    def ended(self) -> Dict[str, Any]:
        self.record["collected"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", self.started)
        self.record["seconds"] = round(time.monotonic() - self.clock, 3)
        return self.record

    def _ask_driver(self) -> Optional[Nvml]:
        """The first of all: its answers come while the rest is read."""
        library = self.attempt("nvidia", find_library, self.host)
        return Nvml(library, self.deadline) if library else None

    def _has_nvidia(self) -> bool:
        devices = self.record.get("pci") or []
        return bool(self.record.get("nvidia_module")) or any(device["vendor"] == NVIDIA for device in devices)

    def _processes(self) -> Processes:
        found = Processes(self.host)
        if found.unseen:
            self._note("%s: containers and restarts may be missing" % found.unseen)
        return found

    def _others(self) -> None:
        devices = self.record.get("pci") or []
        found = [self.attempt("amd", amd, self.host, devices),
                 self.attempt("gaudi", gaudi, self.host, devices, self.installed)]  # fmt: skip
        self.record["others"] = [each for each in found if each]

    def _software(self, engine: Engine, processes: Processes) -> None:
        host = self.host
        if engine.error and engine.error != NO_DOCKER:
            self._note("docker: " + engine.error)
        self.record["notes"] += engine.notes
        set_here = self.section("settings", settings, host, {container_name(about): environment(about)
                                                           for about in engine.containers}) or []  # fmt: skip
        self.section("runtime", runtime, host, self.installed, engine)
        homes = values(set_here, "CUDA_HOME", "CUDA_PATH")
        kits = self.section("toolkits", toolkits, host, self.installed, homes) or []
        paths = [path for value in values(set_here, "LD_LIBRARY_PATH") for path in value.split(":")]
        found = self.section("libraries", libraries, host, self.installed, [kit["path"] for kit in kits], paths)
        self._torches(engine, processes, found or [])

    def _torches(self, engine: Engine, processes: Processes, found: List[Dict[str, Any]]) -> None:
        torches = Torches([library for library in found if library["name"] == "cudnn"])

        def look() -> List[Dict[str, Any]]:
            torches.of_host(self.host, self.environments, processes.all)
            torches.of_containers(processes.leaders(), names_by_id(engine))
            if self.images:
                torches.of_images(engine)
            return torches.found

        self.section("torches", look)
        if "value" in self.record["libraries"]:
            self.record["libraries"] = read(found + torches.libraries)
        self.record["notes"] += torches.notes

    def _errors(self, log: Optional[Later]) -> None:
        if log is None:
            why = not_supported("there is no trace of NVIDIA on this host")
            self.record.update(xids=why, sxids=why)
        else:
            why = unknown(self._why("xids")) if log.result() is None else {}
            self.record.update(log.result() or {"xids": why, "sxids": why})

    def deep(self, deadline: float) -> None:
        """Put every PyTorch that was found to work, one after the other."""
        for each in self.record["torches"].get("value") or []:
            self.attempt("torch in %s" % each["path"], deep, self.host, each, deadline)
            if "deep" not in each:
                each["deep"] = unknown(self._why("torch in %s" % each["path"]))

    def plain(self, name: str, part: Callable[..., Any], *given: Any) -> None:
        """A section that is a value; without it the record has its default."""
        found = self.attempt(name, part, *given)
        if found is not None:
            self.record[name] = found

    def section(self, name: str, part: Callable[..., Any], *given: Any) -> Any:
        """A section that is a reading; its value, None when there is none."""
        found = self.attempt(name, part, *given)
        self.record[name] = unknown(self._why(name)) if found is None else read(found)
        return found

    def attempt(self, name: str, part: Callable[..., Any], *given: Any) -> Any:
        """What the part finds; None when it fails, or finds that there is nothing of its kind."""
        try:
            return part(*given)
        except Exception as error:  # whatever a strange host makes of it
            self._note("%s: %s: %s" % (name, type(error).__name__, error))
            return None

    def _why(self, name: str) -> str:
        """What was noted of a part that failed; others note things at the same time."""
        notes = (note for note in reversed(self.record["notes"]) if note.startswith(name + ": "))
        return next(notes, "it was not found out")

    def _note(self, text: str) -> None:
        self.record["notes"].append(text)
