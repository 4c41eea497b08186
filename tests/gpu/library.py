"""The simulated libnvidia-ml.so.1, built once a machine and recipe."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "libnvidia_ml.c"
CACHE = Path("/var/tmp") / "wxops-simulated-nvml"
FLAGS = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")


@functools.cache
def build() -> Path:
    """The library's path, whose file name is libnvidia-ml.so.1."""
    recipe = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    library = CACHE / recipe / "libnvidia-ml.so.1"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        draft = library.with_suffix(f".{hashlib.sha256(str(id(library)).encode()).hexdigest()[:8]}")
        subprocess.run(["gcc", *FLAGS, "-o", str(draft), str(SOURCE)], check=True)
        draft.replace(library)
    return library
