"""A scenario brought onto a running lab host, and taken off it again: one command each way."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.gpu.library import build
from tests.gpu.scenario import MOUNTED, Scenario
from wxops.lab.host import Host

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
ANSWERS = "/run/nvml-scenario"
JOURNAL = "/lib/systemd/systemd-journal-remote"
STANZA = """
Package: {name}
Status: install ok installed
Maintainer: tests
Architecture: amd64
Version: {version}
Description: stands in for a package of NVIDIA's
"""
PLACE = r"""
set -e
mount -o remount,rw /sys
for point in @MOUNTS@; do mkdir -p $point; mount -t tmpfs scenario $point; done
mkdir /run/scenario
for folder in @FOLDERS@; do [ -e $folder ] || echo $folder >>/run/scenario/made; done
base64 -d | tar -C / -xzf - --no-overwrite-dir
ldconfig
cd /run/scenario
if [ -s packages ]; then
    cp /var/lib/dpkg/status status.before
    cat packages >>/var/lib/dpkg/status
fi
for name in @RUNNING@; do
    cp /bin/sleep $name
    setsid ./$name 600 </dev/null >/dev/null 2>&1 &
    echo $! >>running
done
if [ -s log ]; then
    machine=$(cat /etc/machine-id) boot=$(tr -d - </proc/sys/kernel/random/boot_id)
    mkdir -p /var/log/journal/$machine
    sed "s/@MACHINE@/$machine/; s/@BOOT@/$boot/" log |
        @JOURNAL@ --output=/var/log/journal/$machine/scenario.journal - >/dev/null
fi
"""
REMOVE = r"""
cd /run/scenario || exit 1
umount @MOUNTS@
[ ! -e running ] || kill $(cat running)
[ ! -e status.before ] || mv status.before /var/lib/dpkg/status
rm -f /var/log/journal/*/scenario.journal
xargs -0 rm -f <own
[ ! -e made ] || sort -r made | xargs rmdir
rm -r /run/scenario
ldconfig
"""


def prepare(host: Host) -> None:
    """What placing scenarios needs: the tool that writes lines of the kernel's into a journal."""
    install = "apt-get -qq install -y --no-install-recommends systemd-journal-remote"
    host.ssh(f"test -x {JOURNAL} || {{ apt-get -qq update && {install}; }}")


@contextlib.contextmanager
def placed(scenario: Scenario, host: Host) -> Iterator[None]:
    """The host has the scenario's GPUs, driver, software and log meanwhile."""
    files = {path: (text.encode(), 0o644) for path, text in scenario.tree().items()}
    files.update({path: (text.encode(), 0o755) for path, text in scenario.programs.items()})
    links = scenario.all_links()
    if scenario.driver:
        real = f"{LIBRARIES}/libnvidia-ml.so.{scenario.driver}"
        files[real], links[f"{LIBRARIES}/libnvidia-ml.so.1"] = (build().read_bytes(), 0o644), real
        files[ANSWERS] = scenario.library_text().encode(), 0o644
    mounts = (*MOUNTED, *(("/sys/class",) if any(path.startswith("/sys/class/") for path in files) else ()))
    own = sorted(path for path in (*files, *links) if not path.startswith(mounts))
    packages = "".join(STANZA.format(name=name, version=version) for name, version in scenario.packages.items())
    log = "\n".join(_entry(text, at) for at, text in enumerate(scenario.kernel_log))
    told = {"own": "\0".join(own), "packages": packages, "log": log and log + "\n"}
    files.update({f"/run/scenario/{name}": (text.encode(), 0o644) for name, text in told.items()})
    folders = {str(folder) for path in own for folder in PurePosixPath(path).parents}
    words = {
        "@MOUNTS@": " ".join(mounts),
        "@FOLDERS@": " ".join(sorted(folders)),
        "@RUNNING@": " ".join(scenario.running),
        "@JOURNAL@": JOURNAL,
    }
    archive = base64.b64encode(_archive(files, links)).decode()
    host.ssh(_with(PLACE, words), text=archive)
    try:
        yield
    finally:
        host.ssh(_with(REMOVE, words))


def _with(script: str, words: dict[str, str]) -> str:
    for word, text in words.items():
        script = script.replace(word, text)
    return script


def _entry(text: str, at: int) -> str:
    """A line of the kernel's in the journal's export format, as journald would have kept it."""
    fields = {"__REALTIME_TIMESTAMP": int(time.time() * 1e6) + at, "__MONOTONIC_TIMESTAMP": 1_000_000 + at,
              "_BOOT_ID": "@BOOT@", "_MACHINE_ID": "@MACHINE@", "_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel",
              "PRIORITY": 3, "MESSAGE": text}  # fmt: skip
    return "".join(f"{name}={value}\n" for name, value in fields.items())


def _archive(files: dict[str, tuple[bytes, int]], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path, (data, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
        for path, target in links.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
