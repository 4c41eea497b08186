"""What is sent to a host so that an agent answers there: one command line, then the agent itself over standard input.

Nothing is written to the host's disk. docs/protocol.md shows the bytes.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import io
import json
import marshal
import re
import shlex
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import wxops.agent
from wxops.transport.options import Become

AGENT = Path(wxops.agent.__file__).parent
MARK = "WXOPS-AGENT-READS"
NO_PYTHON = "WXOPS-NO-PYTHON"
PROMPT = "wxops-sudo-prompt:"

# -I: no PYTHON* variables, nothing from the user's own site; -S: no site-packages, a faster start.
# The link gets a descriptor of its own, buffered once, since what is read ahead belongs to the frames that follow.
FIRST_STAGE = (
    "import os,zlib,_frozen_importlib_external as m;link=os.fdopen(os.dup(0),'rb');"
    "os.write(1,b'\\n{mark} '+m.MAGIC_NUMBER.hex().encode()+b'\\n');"
    "exec(zlib.decompress(link.read(int(link.readline()))))"
)


def command_line(interpreters: Sequence[str], become: Become | None) -> str:
    """The command for the host's login shell: finds a Python, says MARK, and reads the agent."""
    program = shlex.quote(FIRST_STAGE.format(mark=MARK))
    tries = " ".join(shlex.quote(interpreter) for interpreter in interpreters)
    script = (
        f'for p in {tries}; do if command -v "$p" >/dev/null 2>&1; then exec "$p" -IS -c {program}; fi; done; '
        f"echo {NO_PYTHON}; exit 127"
    )
    words = ["/bin/sh", "-c", script]
    if become is not None:
        password = ["-S", "-p", PROMPT] if become.password is not None else ["-n"]
        words = ["sudo", *shlex.split(become.flags), *password, "-u", become.user, "--", *words]
    return shlex.join(words)


IMPORT = re.compile(r"^\s*from (wxops\.agent[\w.]*) import (\([^)]*\)|[\w, ]+)", re.MULTILINE)
KIND = re.compile(r'\b(?:set|act|state|pending|begin|kind_named)\(\s*"(\w+)"')


@dataclass(frozen=True)
class AgentFile:
    """One file of the agent as it travels: its source, or its bytecode for a host with the controller's own Python.

    Compiling takes the host some 30 ms; every other Python gets the source.
    """

    path: Path

    def name(self, compiled: bool) -> str:
        return f"wxops/agent/{self.path}{'c' if compiled else ''}"

    def content(self, compiled: bool) -> bytes:
        source = (AGENT / self.path).read_bytes()
        if not compiled:
            return source
        return marshal.dumps(compile(source, f"<wxops>/agent/{self.path}", "exec", dont_inherit=True, optimize=2))


def same_python(magic: str) -> bool:
    """Does a host with this magic number (hex) run the controller's bytecode?"""
    return magic == importlib.util.MAGIC_NUMBER.hex()


@functools.cache
def payload(compiled: bool) -> bytes:
    """The agent's core: the second stage, then a zip of what its main file needs. The rest follows with tasks."""
    loader = zlib.compress((AGENT / "loader.py").read_bytes(), 9)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for name in core():
            file = AgentFile(Path(name))
            zipped.writestr(file.name(compiled), file.content(compiled))
    packed = archive.getvalue()
    return b"%d\n%b%d\n%b" % (len(loader), loader, len(packed), packed)


@functools.cache
def core() -> frozenset[str]:
    """The files that every agent has."""
    return frozenset(_closure(["main.py", "modules/__init__.py", "resources/__init__.py", "resources/file.py"]))


@functools.cache
def module_files(module: str) -> frozenset[str]:
    """The files that a module needs beyond the core: its own, those that they import, and the kinds that they name."""
    kinds = [f"resources/{path.name}" for path in (AGENT / "resources").glob("*.py")] if module == "rollback" else []
    return frozenset(_closure([f"modules/{module}.py", *kinds])) - core()


def pack_files(names: Iterable[str], compiled: bool) -> bytes:
    """A MODULE frame's payload."""
    files = [AgentFile(Path(name)) for name in sorted(names)]
    content = {file.name(compiled): base64.b64encode(file.content(compiled)).decode() for file in files}
    return zlib.compress(json.dumps(content).encode())


@functools.cache
def _neighbours(name: str) -> tuple[str, ...]:
    """What a file of the agent needs: files that it imports, and the kinds of resource that it asks for by name."""
    source = (AGENT / name).read_text(encoding="utf-8")
    found = [f"resources/{word}.py" for word in KIND.findall(source)]
    for package, names in IMPORT.findall(source):
        base = package.removeprefix("wxops.agent").strip(".").replace(".", "/")
        inside = [f"{base}/{part}.py".lstrip("/") for part in re.findall(r"\w+", names)]
        found += [f"{base}.py", f"{base}/__init__.py", *inside]
    return tuple(path for path in found if (AGENT / path).is_file())


def _closure(names: Iterable[str]) -> set[str]:
    """These files, what they need, and the packages in which they lie."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            packages = [f"{parent}/__init__.py".removeprefix("./") for parent in Path(name).parents]
            todo += [*_neighbours(name), *(path for path in packages if (AGENT / path).is_file())]
    return found
