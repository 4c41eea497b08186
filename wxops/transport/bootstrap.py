"""What is sent to a host so that an agent answers there: one command line, then the agent itself over standard input.

Nothing is written to the host's disk. docs/protocol.md shows the bytes.
"""

from __future__ import annotations

import functools
import io
import re
import shlex
import zipfile
import zlib
from collections.abc import Sequence
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
    "import os,zlib;link=os.fdopen(os.dup(0),'rb');os.write(1,b'\\n{mark}\\n');"
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


def _travels_alone(name: Path) -> bool:
    """Modules and fact collectors are sent only when a task needs them."""
    return name.parts[0] in ("modules", "facts") and name != Path("modules/__init__.py")


@functools.cache
def payload() -> bytes:
    """The agent without its modules: the second stage, then a zip of sources. Modules follow when a task needs them."""
    loader = zlib.compress((AGENT / "loader.py").read_bytes(), 9)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path in sorted(AGENT.rglob("*.py")):
            name = path.relative_to(AGENT)
            if not _travels_alone(name):
                zipped.write(path, f"wxops/agent/{name}")
    packed = archive.getvalue()
    return b"%d\n%b%d\n%b" % (len(loader), loader, len(packed), packed)


@functools.cache
def module_sources(module: str) -> dict[str, str]:
    """Path -> source of what a module needs beyond the agent's core: its own file and those that it imports."""
    found: dict[str, str] = {}
    wanted = [f"modules/{module}.py"]
    while wanted:
        name = wanted.pop()
        path = AGENT / name
        if f"wxops/agent/{name}" in found or not _travels_alone(Path(name)) or not path.is_file():
            continue
        source = found[f"wxops/agent/{name}"] = path.read_text(encoding="utf-8")
        for package, names in IMPORT.findall(source):
            base = package.removeprefix("wxops.agent").strip(".").replace(".", "/")
            wanted += [
                f"{base}.py",
                f"{base}/__init__.py",
                *(f"{base}/{part}.py" for part in re.findall(r"\w+", names)),
            ]
    return found
