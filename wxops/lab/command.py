"""Running this machine's own tools: an argument list in, their output or a LabError out."""

from __future__ import annotations

import subprocess

from wxops.errors import LabError


def run(*argv: str, text: str | None = None, timeout: float = 600) -> str:
    """Run a tool with `text` on its standard input; its output. LabError with what it said where it fails."""
    done = subprocess.run(argv, input=text or "", capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise LabError(f"{argv[0]} exited with {done.returncode}: " + " / ".join(said), where=" ".join(argv))
    return done.stdout


def succeeds(*argv: str) -> bool:
    """Whether a tool exits with 0; what it says is dropped."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
