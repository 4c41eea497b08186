"""The second stage of the bootstrap: imports the agent from memory, so that nothing is left on the host.

The first stage (transport/bootstrap.py) runs this text with `link`, the buffered standard input, as a global.
It stands alone: nothing of wxops can be imported yet.
"""

from __future__ import annotations

import json
import marshal
import sys
import zlib
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any, BinaryIO, Dict, Optional


class MemoryImporter(MetaPathFinder, InspectLoader):
    """Finds `wxops.*` among files held in memory: path in the package tree -> source (.py) or bytecode (.pyc)."""

    def __init__(self) -> None:
        self.files: Dict[str, bytes] = {}

    def add(self, packed: bytes) -> None:
        """More files: zlib over a line of JSON, path -> size, and then their bytes in that order."""
        index, _, content = zlib.decompress(packed).partition(b"\n")
        for path, size in json.loads(index).items():
            self.files[path], content = content[:size], content[size:]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        return spec_from_loader(name, self) if name == "wxops" or self._path(name) else None

    def is_package(self, name: str) -> bool:
        return name == "wxops" or "/__init__.py" in self._path(name)

    def get_source(self, name: str) -> str:
        path = self._path(name)
        return self.files[path].decode("utf-8") if path.endswith(".py") else ""

    def get_code(self, name: str) -> CodeType:
        path = self._path(name)
        if path.endswith(".pyc"):
            code: CodeType = marshal.loads(self.files[path])
            return code
        return compile(self.get_source(name), "<wxops>/" + (path or "wxops"), "exec", dont_inherit=True)

    def _path(self, name: str) -> str:
        base = name.replace(".", "/")
        endings = (".py", ".pyc", "/__init__.py", "/__init__.pyc")
        return next((base + ending for ending in endings if base + ending in self.files), "")


def start(link: BinaryIO) -> None:
    importer = MemoryImporter()
    importer.add(link.read(int(link.readline())))
    sys.meta_path.insert(0, importer)
    from wxops.agent.main import serve

    serve(link, importer.add)


if "link" in globals():
    start(globals()["link"])
