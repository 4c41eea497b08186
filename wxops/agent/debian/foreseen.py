"""apt's state files as earlier tasks of a check would have left them, so that apt-get can be asked what comes next."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import environment
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Iterator, List

    from wxops.agent.debian.dpkg import Entry, Packages


@contextlib.contextmanager
def state_files(foreseen: Packages) -> Iterator[List[str]]:
    """Options for apt-get that make these packages the installed ones; none when they are so already."""
    now = dpkg.packages()
    differing = {name for name in {*foreseen, *now} if foreseen.get(name) != now.get(name)}
    if not differing:
        yield []
        return
    folder = tempfile.mkdtemp(prefix="wxops-")
    try:
        os.chmod(folder, 0o755)
        status, extended = (os.path.join(folder, name) for name in ("status", "extended_states"))
        kept = [text for name, text in dpkg.stanzas() if name not in differing]
        new = [_stanza(name, foreseen[name]) for name in sorted(differing) if name in foreseen]
        _write(status, [*kept, *filter(None, new)])
        _write(extended, [_mark(name, entry["arch"]) for name, entry in foreseen.items() if entry["auto"]])
        yield ["-o", "Dir::State::status=" + status, "-o", "Dir::State::extended_states=" + extended]
    finally:
        shutil.rmtree(folder)


def _stanza(name: str, entry: Entry) -> str:
    """A package as dpkg would describe it; empty for one that apt does not know yet."""
    if not dpkg.is_installed(entry):
        return ""
    shown = run(["apt-cache", "show", "%s=%s" % (name, entry["version"])], environment=environment())
    text = shown.stdout.partition("\n\n")[0].strip()
    first, newline, rest = text.partition("\n")
    return "%s\nStatus: %s ok installed\n%s" % (first, entry["want"], rest) if shown.rc == 0 and newline else ""


def _mark(name: str, arch: str) -> str:
    own = dpkg.native_architecture() if arch in ("", "all") else arch
    return "Package: %s\nArchitecture: %s\nAuto-Installed: 1" % (name.partition(":")[0], own)


def _write(path: str, stanzas: List[str]) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n\n".join(stanzas) + "\n\n")
