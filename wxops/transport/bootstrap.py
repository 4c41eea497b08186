"""What is sent to a host so that an agent answers there: one command line, then the agent itself over standard input.

Nothing is written to the host's disk. docs/protocol.md shows the bytes.
"""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Sequence

from wxops.transport import package
from wxops.transport.becoming import method_of
from wxops.transport.options import Become

MARK = "WXOPS-AGENT-READS"
NO_PYTHON = "WXOPS-NO-PYTHON"
OLD_PYTHON = "WXOPS-OLD-PYTHON"

# -X utf8: names of files are UTF-8, also on a host whose locale is GB18030.
# -I: no PYTHON* variables, nothing from the user's own site; -S: no site-packages, a faster start.
# The link gets a descriptor of its own, buffered once, since what is read ahead belongs to the frames that follow.
FIRST_STAGE = (
    "import sys;sys.version_info>=(3,7)or sys.exit('{old}');"
    "import os,zlib,_frozen_importlib_external as m;link=os.fdopen(os.dup(0),'rb');"
    "os.write(1,b'\\n{mark} '+m.MAGIC_NUMBER.hex().encode()+b'\\n');"
    "exec(zlib.decompress(link.read(int(link.readline()))))"
)


def command_line(interpreters: Sequence[str], become: Become | None) -> str:
    """The command for the host's login shell: finds a Python, says MARK, and reads the agent."""
    program = shlex.quote(FIRST_STAGE.format(mark=MARK, old=OLD_PYTHON))
    tries = " ".join(shlex.quote(interpreter) for interpreter in interpreters)
    script = (
        f'for p in {tries}; do if command -v "$p" >/dev/null 2>&1; then exec "$p" -IS -X utf8 -c {program}; fi; done; '
        f"echo {NO_PYTHON}; exit 127"
    )
    words = ["/bin/sh", "-c", script]
    if become is not None:
        words = method_of(become).command(become, words)
    return shlex.join(words)


def payload(compiled: bool) -> bytes:
    """The agent's core: the second stage, then a package of what its main file needs. The rest follows with tasks."""
    loader = zlib.compress((package.AGENT / "loader.py").read_bytes(), 9)
    core = package.pack(package.core(), compiled, "core")
    return b"%d\n%b%d\n%b" % (len(loader), loader, len(core), core)
