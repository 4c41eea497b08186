"""The second stage of the bootstrap: imports the agent from a zip in memory, so that nothing is left on the host.

The first stage (transport/bootstrap.py) runs this text with `link`, the buffered standard input, as a global.
It stands alone: nothing of wxops can be imported yet.
"""

import io
import sys
import zipfile
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.util import spec_from_loader


class MemoryImporter(MetaPathFinder, InspectLoader):
    """Finds `wxops.*` among sources held in memory: path in the package tree -> text."""

    def __init__(self, sources):
        self.sources = sources

    def add(self, sources):
        self.sources.update(sources)

    def find_spec(self, name, path=None, target=None):
        return spec_from_loader(name, self) if name == "wxops" or self._path(name) else None

    def is_package(self, name):
        return name == "wxops" or self._path(name).endswith("/__init__.py")

    def get_source(self, name):
        return "" if name == "wxops" else self.sources[self._path(name)]

    def get_code(self, name):
        return compile(self.get_source(name), "<wxops>/" + (self._path(name) or "wxops"), "exec", dont_inherit=True)

    def _path(self, name):
        base = name.replace(".", "/")
        return next((path for path in (base + ".py", base + "/__init__.py") if path in self.sources), None)


def start(link):
    archive = zipfile.ZipFile(io.BytesIO(link.read(int(link.readline()))))
    importer = MemoryImporter({name: archive.read(name).decode("utf-8") for name in archive.namelist()})
    sys.meta_path.insert(0, importer)
    from wxops.agent.main import serve

    serve(link, importer.add)


if "link" in globals():
    start(globals()["link"])
