"""A module that another one imports as it starts, and few use, is loaded when it is used.

As https://docs.python.org/3.11/library/importlib.html#implementing-lazy-imports has it, but for an import that is not
ours: paramiko imports invoke, which `Match exec` of ssh's configuration needs alone, and invoke asyncio and
unittest.mock.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader


class Later:
    """Finds one module, which loads at the first look at what is in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def load_when_used(name: str) -> None:
    """For the first `import NAME` of this process, wherever it stands; who has imported it already keeps it."""
    sys.meta_path.insert(0, Later(name))
