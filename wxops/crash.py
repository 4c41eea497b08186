"""What wxops did not foresee: a sentence for the operator, and a file with the traceback to report."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from wxops import __version__


def sentence(error: Exception) -> str:
    """Only the kind and the place: the message may hold what should not be on a screen. The file has it all."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if f"{os.sep}wxops{os.sep}" in f.filename), "?")
    what = f"this is a bug in wxops: {type(error).__name__} at {place}"
    file = _report(error)
    if file is None:
        return what + "\n  please report it; its traceback could not be written anywhere"
    return what + f"\n  please report it with {file}; look it over first, it may name your hosts"


def _report(error: Exception) -> Path | None:
    """The traceback in a file that only its owner can read: among the run records, else for temporary files."""
    command = " ".join(word for word in sys.argv[1:2] if not word.startswith("-"))
    text = f"wxops {__version__} {command}\nPython {sys.version}\n\n" + "".join(traceback.format_exception(error))
    name = time.strftime("crash-%Y%m%d-%H%M%S-", time.gmtime())
    for folder in (_state(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, path = tempfile.mkstemp(".txt", name, folder)
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return Path(path)
    return None


def _state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "wxops" / "crashes"
