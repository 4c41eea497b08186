"""A scenario brought onto a running lab host, and taken off it again."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
from collections.abc import Iterator

from tests.gpu.library import build
from tests.gpu.scenario import MOUNTED, Scenario
from wxops.lab.host import Host

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
SCENARIO = "/run/nvml-scenario"


@contextlib.contextmanager
def placed(scenario: Scenario, host: Host) -> Iterator[None]:
    """The host has the scenario's GPUs, driver and files meanwhile."""
    files = {path: text.encode() for path, text in scenario.tree().items()}
    links = dict(scenario.links)
    if scenario.driver:
        real = f"{LIBRARIES}/libnvidia-ml.so.{scenario.driver}"
        files[real], links[f"{LIBRARIES}/libnvidia-ml.so.1"] = build().read_bytes(), real
        files[SCENARIO] = scenario.library_text().encode()
    own = sorted(path for path in (*files, *links) if not path.startswith(MOUNTED))
    mounts = "".join(f"mkdir -p {point} && mount -t tmpfs scenario {point} && " for point in MOUNTED)
    archive = base64.b64encode(_archive(files, links)).decode()
    host.ssh(f"{mounts} base64 -d | tar -C / -xzf - --no-overwrite-dir && ldconfig", text=archive)
    try:
        yield
    finally:
        host.ssh(f"umount {' '.join(MOUNTED)}; xargs -0 rm -f && ldconfig", text="\0".join(own))


def _archive(files: dict[str, bytes], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
        for path, target in links.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
