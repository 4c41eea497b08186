"""The agent as it travels: which of its files a host needs for a module, and their bytes."""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import importlib.util
import json
import marshal
import os
import re
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import wxops.agent
from wxops.errors import WxopsError

AGENT = Path(wxops.agent.__file__).parent
CORE = ("main.py", "modules/__init__.py", "resources/__init__.py", "resources/file.py")
IMPORT = re.compile(r"from (wxops\.agent[\w.]*) import (\([^)]*\)|[\w, ]+)")
CARRIED = frozenset({"pynvml.py"})
"""Libraries of one file of pure Python that travel with the files that import them: no host needs to have them."""
IMPORT_CARRIED = re.compile(r"^ *import (\w+)", re.MULTILINE)
FIRST_ARGUMENT = re.compile(r'\(\s*"(\w+)"')
TAKES_KIND = ("set", "act", "state", "begin", "kind_named")  # the calls whose first argument is a kind
_packing = threading.Lock()


@functools.cache
def core() -> frozenset[str]:
    """The files that every agent has."""
    return frozenset(_closure(CORE))


@functools.cache
def module_files(module: str) -> frozenset[str]:
    """The files that a module needs beyond the core: its own, those that they import, and the kinds that they name."""
    kinds = [name for name in _all_files() if name.startswith("resources/")] if module == "rollback" else []
    return frozenset(_closure([f"modules/{module}.py", *kinds])) - core()


def same_python(magic: str) -> bool:
    """Does a host with this magic number (hex) run the controller's bytecode?"""
    return magic == importlib.util.MAGIC_NUMBER.hex()


def pack(names: frozenset[str], compiled: bool, keep_as: str = "") -> bytes:
    """These files as `MemoryImporter.add` takes them: zlib over a line of JSON, path -> size, and then their bytes.

    compiled: as bytecode, for a host with the controller's own Python; every other one gets the sources, and takes
    some 70 ms to compile those of a usual playbook. keep_as: the name under which it is kept for the next run, for what
    every run needs; to compress an audit's files takes half as long as to log in.
    """
    with _packing:  # the hosts of a play ask for the same, all at once
        return _pack(names, compiled, keep_as)


@functools.cache
def _pack(names: frozenset[str], compiled: bool, keep_as: str) -> bytes:
    if not keep_as:
        return _compressed(names, compiled)
    kind = sys.implementation.cache_tag if compiled else "source"
    states = "".join(f"{name} {_state(_path_here(name)).hex()}\n" for name in sorted(names))
    header = hashlib.sha256(states.encode()).digest()
    return _kept(AGENT / "__pycache__" / f"{keep_as}.{kind}.pack", header, lambda: _compressed(names, compiled))


def _compressed(names: frozenset[str], compiled: bool) -> bytes:
    content = _bytecode if compiled else _source
    files = {_path_there(name) + ("c" if compiled else ""): content(name) for name in sorted(names)}
    index = json.dumps({path: len(data) for path, data in files.items()}).encode()
    return zlib.compress(b"\n".join([index, b"".join(files.values())]))


def _path_there(name: str) -> str:
    return name if name in CARRIED else f"wxops/agent/{name}"


def _path_here(name: str) -> Path:
    return _installed(name) if name in CARRIED else AGENT / name


@functools.cache
def _installed(name: str) -> Path:
    found = importlib.util.find_spec(name.removesuffix(".py"))
    if found is None or found.origin is None:
        raise WxopsError(f"{name} is not installed beside wxops, and hosts need it", fix="pip install nvidia-ml-py")
    return Path(found.origin)


def _source(name: str) -> bytes:
    return _path_here(name).read_bytes()


def _bytecode(name: str) -> bytes:
    """Without docstrings and asserts; kept where Python itself keeps such: __pycache__/NAME.cpython-311.opt-2.pyc."""
    source, shown = _path_here(name), f"<wxops>/{_path_there(name).removeprefix('wxops/')}"
    return _kept(
        Path(importlib.util.cache_from_source(source, optimization=2)), _state(source),
        lambda: marshal.dumps(compile(_source(name), shown, "exec", dont_inherit=True, optimize=2)),
    )  # fmt: skip


def _state(source: Path) -> bytes:
    """Which Python's bytecode of which state of a file: the head of a .pyc."""
    status = source.stat()
    return importlib.util.MAGIC_NUMBER + struct.pack("<3L", 0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size)


def _kept(path: Path, header: bytes, make: Callable[[], bytes]) -> bytes:
    """What a run before made, if this header stands before it; else it is made, and kept for the next run."""
    with contextlib.suppress(OSError):
        kept = path.read_bytes()
        if kept.startswith(header):
            return kept[len(header) :]
    made = make()
    with contextlib.suppress(OSError):  # a folder of the system's, in which this user may not write
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(header + made)
        draft.replace(path)
    return made


@functools.cache
def _all_files() -> frozenset[str]:
    return frozenset(glob.glob("**/*.py", root_dir=AGENT, recursive=True))


@functools.cache
def _neighbours(name: str) -> frozenset[str]:
    """What a file of the agent needs: files that it imports, kinds of resource that it asks for by name, packages."""
    if name in CARRIED:
        return frozenset()
    source = _source(name).decode()
    calls = (call for call in FIRST_ARGUMENT.finditer(source) if source.endswith(TAKES_KIND, 0, call.start()))
    found = {f"resources/{call[1]}.py" for call in calls}
    for package, names in IMPORT.findall(source):
        base = package.removeprefix("wxops.agent").strip(".").replace(".", "/")
        found |= {f"{base}/{part}.py".lstrip("/") for part in re.findall(r"\w+", names)}
        found.add(f"{base}.py")
        found.add(f"{base}/__init__.py")
    parts = name.split("/")
    found |= {"/".join([*parts[:depth], "__init__.py"]) for depth in range(len(parts))}
    carried = CARRIED & {f"{module}.py" for module in IMPORT_CARRIED.findall(source)}
    return frozenset(found & _all_files()) | carried


def _closure(names: Iterable[str]) -> set[str]:
    """These files and all that they need."""
    found: set[str] = set()
    todo = set(names)
    while todo:
        found |= todo
        todo = {needed for name in todo for needed in _neighbours(name)} - found
    return found
