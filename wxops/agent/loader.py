"""The second stage of the bootstrap: imports the agent from a zip in memory, so that nothing is left on the host.

The first stage (transport/bootstrap.py) runs this text with `link`, the buffered standard input, as a global.
It stands alone: nothing of wxops can be imported yet.
"""

from __future__ import annotations

import io
import sys
import zipfile
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any, BinaryIO, Dict, Optional


class MemoryImporter(MetaPathFinder, InspectLoader):
    """Finds `wxops.*` among sources held in memory: path in the package tree -> text."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self.sources = sources

    def add(self, sources: Dict[str, str]) -> None:
        self.sources.update(sources)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        return spec_from_loader(name, self) if name == "wxops" or self._path(name) else None

    def is_package(self, name: str) -> bool:
        return name == "wxops" or self._path(name).endswith("/__init__.py")

    def get_source(self, name: str) -> str:
        return "" if name == "wxops" else self.sources[self._path(name)]

    def get_code(self, name: str) -> CodeType:
        return compile(self.get_source(name), "<wxops>/" + (self._path(name) or "wxops"), "exec", dont_inherit=True)

    def _path(self, name: str) -> str:
        base = name.replace(".", "/")
        return next((path for path in (base + ".py", base + "/__init__.py") if path in self.sources), "")


def start(link: BinaryIO) -> None:
    archive = zipfile.ZipFile(io.BytesIO(link.read(int(link.readline()))))
    importer = MemoryImporter({name: archive.read(name).decode("utf-8") for name in archive.namelist()})
    sys.meta_path.insert(0, importer)
    from wxops.agent.main import serve

    serve(link, importer.add)


if "link" in globals():
    start(globals()["link"])
