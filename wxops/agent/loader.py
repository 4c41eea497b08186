"""The second stage of the bootstrap: imports the agent from memory, so that nothing is left on the host.

The first stage (transport/bootstrap.py) runs this text with `link`, the buffered standard input, as a global.
It stands alone: nothing of wxops can be imported yet.
"""

from __future__ import annotations

import json
import marshal
import sys
import zlib
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False  # as typing's, which takes 2 ms to import
if TYPE_CHECKING:
    from io import BufferedReader
    from types import CodeType, ModuleType
    from typing import Any, Dict, Optional


class MemoryImporter:
    """Finds modules among files held in memory: path in the package tree -> source (.py) or bytecode (.pyc).

    All of `wxops.*`, and libraries that came along (transport/package.py: CARRIED), before any that the host has.
    A finder and a loader by its methods alone: their base classes in importlib.abc take 10 ms to import.
    """

    def __init__(self) -> None:
        self.files: Dict[str, bytes] = {}

    def add(self, packed: bytes) -> None:
        """More files: zlib over a line of JSON, path -> size, and then their bytes in that order."""
        index, _, content = zlib.decompress(packed).partition(b"\n")
        for path, size in json.loads(index).items():
            self.files[path], content = content[:size], content[size:]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        found = self._path(name)
        if name != "wxops" and not found:
            return None
        return ModuleSpec(name, self, is_package=not found or "/__init__.py" in found)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        return None  # the usual kind

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code(self._path(module.__name__)), module.__dict__)

    def _code(self, path: str) -> CodeType:
        if path.endswith(".pyc"):
            code: CodeType = marshal.loads(self.files[path])
            return code
        source = self.files[path].decode("utf-8") if path else ""
        return compile(source, "<wxops>/" + path, "exec", dont_inherit=True)

    def _path(self, name: str) -> str:
        base = name.replace(".", "/")
        endings = (".py", ".pyc", "/__init__.py", "/__init__.pyc")
        return next((base + ending for ending in endings if base + ending in self.files), "")


def start(link: BufferedReader) -> None:
    importer = MemoryImporter()
    importer.add(link.read(int(link.readline())))
    sys.meta_path.insert(0, importer)
    from wxops.agent.main import serve

    serve(link, importer.add)


if "link" in globals():
    start(globals()["link"])
