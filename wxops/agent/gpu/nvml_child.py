"""The side that talks to the driver: a forked child asks NVML one field after the other, and tells each answer.

It writes a line of JSON before each call and one after it, so that who listens knows which call it is that hangs:
    ["ask", GPU, FIELD]   ["told", GPU, FIELD, READING]   ["failed", NVML's error]   ["end"]
GPU is -1 for what is not of one GPU.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from wxops.agent.gpu.nvml_error import error_name, reading_of
from wxops.agent.gpu.reading import read

if TYPE_CHECKING:
    from typing import Any, Callable, Collection, Tuple

    Question = Tuple[int, str]

SYSTEM_WIDE = -1
HANDLE, COUNT, LIBRARY = "handle", "count", "library"


def tell(
    write: Callable[[bytes], object], library: str, answered: Collection[Question], silent: Collection[int]
) -> None:
    """Ask all but what is answered, and nothing of a GPU that was silent. library: the path of libnvidia-ml.so.1."""
    Child(write, answered, silent).tell(library)


class Child:
    def __init__(
        self, write: Callable[[bytes], object], answered: Collection[Question], silent: Collection[int]
    ) -> None:
        self._write, self._answered, self._silent = write, answered, silent

    def tell(self, library: str) -> None:
        self._say("ask", SYSTEM_WIDE, "load")
        import ctypes

        import pynvml as nvml

        from wxops.agent.gpu.nvml_fields import FIELDS, SYSTEM

        self._nvml: Any = nvml
        try:
            nvml.nvmlLib = ctypes.CDLL(library)  # also where the linker would not look by itself
        except OSError as error:
            self._say("failed", "%s: %s" % (error_name(nvml, nvml.NVML_ERROR_LIBRARY_NOT_FOUND), error))
            return
        self._say("told", SYSTEM_WIDE, LIBRARY, read(loaded_path(library)))
        if not self._start():
            return
        for name, ask in SYSTEM.items():
            self._ask(SYSTEM_WIDE, name, partial(ask, nvml))
        count = self._ask(SYSTEM_WIDE, COUNT, nvml.nvmlDeviceGetCount, again=True).get("value") or 0
        for index in range(count):
            if index not in self._silent:
                self._ask_gpu(index, FIELDS)
        self._say("end")

    def _start(self) -> bool:
        self._say("ask", SYSTEM_WIDE, "init")
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            self._say("failed", error_name(self._nvml, error.value))
            return False
        return True

    def _ask_gpu(self, index: int, fields: Any) -> None:
        handles = []

        def get_handle() -> bool:
            handles.append(self._nvml.nvmlDeviceGetHandleByIndex(index))
            return True

        self._ask(index, HANDLE, get_handle, again=True)
        for name, ask in fields.items():
            if handles:
                self._ask(index, name, partial(ask, self._nvml, handles[0]))

    def _ask(self, gpu: int, name: str, call: Callable[[], Any], again: bool = False) -> Any:
        """again: also when it is answered, since more depends on it."""
        if (gpu, name) in self._answered and not again:
            return {}
        self._say("ask", gpu, name)
        reading = reading_of(self._nvml, call)
        self._say("told", gpu, name, reading)
        return reading

    def _say(self, *words: Any) -> None:
        self._write(json.dumps(words, default=str).encode("utf-8") + b"\n")


def loaded_path(library: str) -> str:
    """The real file behind the library that this process has loaded, which has its version in its name."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        paths = [line.split(None, 5)[5].rstrip("\n") for line in file if "libnvidia-ml.so" in line]
    return paths[0] if paths else library
