"""A scenario brought onto a running lab host, and taken off it again."""

from __future__ import annotations

import base64
import contextlib
import io
import shlex
import tarfile
import time
from collections.abc import Iterator

from tests.gpu.library import build
from tests.gpu.scenario import MOUNTED, Scenario
from wxops.lab.host import Host

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
ANSWERS = "/run/nvml-scenario"
STATUS = "/var/lib/dpkg/status"
JOURNAL = "/lib/systemd/systemd-journal-remote"
STANZA = """
Package: {name}
Status: install ok installed
Maintainer: tests
Architecture: amd64
Version: {version}
Description: stands in for a package of NVIDIA's
"""


def prepare(host: Host) -> None:
    """What placing scenarios needs: the tool that writes lines of the kernel's into a journal."""
    host.ssh(f"test -x {JOURNAL} || {{ apt-get -qq update && apt-get -qq install -y --no-install-recommends systemd-journal-remote; }}")


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
    mounts = [*MOUNTED, *(["/sys/class"] if any(path.startswith("/sys/class/") for path in files) else [])]
    own = sorted(path for path in (*files, *links) if not path.startswith(tuple(mounts)))
    over = " ".join(f"mount -t tmpfs scenario {point} &&" for point in mounts)
    archive = base64.b64encode(_archive(files, links)).decode()
    host.ssh(
        f"mount -o remount,rw /sys; mkdir -p {' '.join(mounts)}; {over} base64 -d | tar -C / -xzf - --no-overwrite-dir && ldconfig", text=archive
    )
    try:
        _install(scenario, host)
        _log(scenario, host)
        yield
    finally:
        _remove(scenario, host)
        host.ssh(f"umount {' '.join(mounts)}; xargs -0 rm -f && ldconfig", text="\0".join(own))


def _install(scenario: Scenario, host: Host) -> None:
    """Packages into dpkg's list, and programs by name that only wait."""
    if scenario.packages:
        stanzas = "".join(STANZA.format(name=name, version=version) for name, version in scenario.packages.items())
        host.ssh(f"cp {STATUS} {STATUS}.before && cat >> {STATUS}", text=stanzas)
    for name in scenario.running:
        host.ssh(f"cp /bin/sleep /run/{name} && chmod +x /run/{name} && (setsid /run/{name} 600 >/dev/null 2>&1 &)")


def _log(scenario: Scenario, host: Host) -> None:
    """Lines of the kernel's in the journal, as journald would have kept them; the kernel itself is the machine's."""
    if scenario.kernel_log:
        told = host.ssh("cat /proc/sys/kernel/random/boot_id /etc/machine-id").stdout.split()
        boot, machine = (word.replace("-", "") for word in told)
        lines = "\n".join(_entry(text, at, boot, machine) for at, text in enumerate(scenario.kernel_log))
        folder = f"/var/log/journal/{machine}"
        host.ssh(f"mkdir -p {folder} && {JOURNAL} --output={folder}/scenario.journal -", text=lines + "\n")


def _entry(text: str, at: int, boot: str, machine: str) -> str:
    fields = {"__REALTIME_TIMESTAMP": int(time.time() * 1e6) + at, "__MONOTONIC_TIMESTAMP": 1_000_000 + at,
              "_BOOT_ID": boot, "_MACHINE_ID": machine, "_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel",
              "PRIORITY": 3, "MESSAGE": text}  # fmt: skip
    return "".join(f"{name}={value}\n" for name, value in fields.items())


def _remove(scenario: Scenario, host: Host) -> None:
    for name in scenario.running:
        host.ssh(f"pkill -x -f {shlex.quote(f'/run/{name} 600')}; rm -f /run/{name}", check=False)
    if scenario.packages:
        host.ssh(f"mv {STATUS}.before {STATUS}")
    if scenario.kernel_log:
        host.ssh("rm -f /var/log/journal/*/scenario.journal")


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
