"""A signed apt repository of packages that bear NVIDIA's names, versions and dependencies, and nothing of NVIDIA's.

They let apt, dpkg, holds, pins and reboots be real where no GPU is. What is in them behaves as a driver does towards an
operator: the kernel part shows its version in /sys/module/nvidia/version after a reboot only, and `nvidia-smi` refuses
to work while kernel and library differ. In place of what dkms builds there is a module with nothing but its version.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import os
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NVIDIA_SMI = """#!/bin/sh
# Stand-in for nvidia-smi {version}: knows -pm, -L and --query-gpu=driver_version.
loaded=$(cat /sys/module/nvidia/version 2>/dev/null) || {{ echo "No devices were found"; exit 6; }}
if [ "$loaded" != "{version}" ]; then
    echo "Failed to initialize NVML: Driver/library version mismatch"
    exit 18
fi
case "$1" in
-pm) echo "$2" >/run/nvidia-persistence-mode ;;
-L) echo "GPU 0: Stand-in (UUID: GPU-00000000-0000-0000-0000-000000000000)" ;;
*) echo "$loaded" ;;
esac
"""
# What insmod does to /sys, as far as a container can, whose /sys is a tmpfs: at boot, and not before.
MODULE_UNIT = """[Unit]
Description=Stand-in for the kernel module nvidia {version}
DefaultDependencies=no
Before=systemd-modules-load.service sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount -o remount,rw /sys
ExecStart=mkdir -p /sys/module/nvidia
ExecStart=sh -c 'echo {version} >/sys/module/nvidia/version'
ExecStart=mount -o remount,ro /sys
"""
# What dkms does: the module for each kernel that is there. (A lab host has none of its own, only the one it runs.)
BUILD = """#!/bin/sh
set -e
PATH=$PATH:/sbin
folder=/lib/modules/$(uname -r)/updates/dkms
mkdir -p $folder
cp /usr/src/nvidia-{version}/nvidia.ko $folder
depmod
"""
UNBUILD = """#!/bin/sh
[ "$1" = upgrade ] || rm -rf /lib/modules
"""
FABRIC_MANAGER_UNIT = """[Unit]
Description=Stand-in for the fabric manager {version}: it runs on a driver of its own version only

[Service]
ExecStart=sh -c '[ "$(cat /sys/module/nvidia/version)" = {version} ] && exec sleep infinity'

[Install]
WantedBy=multi-user.target
"""
NVIDIA_CTK = """#!/bin/sh
# Stand-in for nvidia-ctk: knows `cdi generate` and `system create-dev-char-symlinks`.
[ "$1 $2" = "cdi generate" ] || exit 0
version=$(cat /sys/module/nvidia/version 2>/dev/null) || { echo "failed to get driver version" >&2; exit 1; }
cat <<END
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  mounts:
    - {hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.$version, containerPath: /usr/lib/libcuda.so.$version}
END
"""
UNIT_FOLDER = "usr/lib/systemd/system"


@dataclass(frozen=True)
class Package:
    """A binary package: files by path (mode 0755 below bin/), links by path. source: if it has another name."""

    name: str
    version: str
    depends: str = ""
    files: dict[str, str | bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    source: str = ""


def driver(version: str) -> list[Package]:
    """The driver without a desktop, in one release."""
    full, unit = f"{version}-1", "nvidia-stand-in.service"
    kernel = f"nvidia-kernel-open-dkms (= {full}) | nvidia-kernel-dkms (= {full})"
    made = [
        Package(
            "nvidia-driver-cuda",
            full,
            # The third one as Ubuntu's nvidia-driver-580 has it: a name that does not begin with what it is of.
            f"libcuda1 (= {full}), libnvidia-ml1 (= {full}), xserver-xorg-video-nvidia-580 (= {full}), {kernel}",
            {"usr/bin/nvidia-smi": NVIDIA_SMI.format(version=version)},
        ),
        Package("libcuda1", full, f"libnvidia-ml1 (= {full})"),
        Package("libnvidia-ml1", full),
        Package("xserver-xorg-video-nvidia-580", full),
        Package(
            "nvidia-kernel-open-dkms",
            full,
            files={
                f"{UNIT_FOLDER}/{unit}": MODULE_UNIT.format(version=version),
                f"usr/src/nvidia-{version}/nvidia.ko": kernel_module(name="nvidia", version=version),
                "DEBIAN/postinst": BUILD.format(version=version),
                "DEBIAN/prerm": UNBUILD,
            },
            links={f"{UNIT_FOLDER}/sysinit.target.wants/{unit}": f"../{unit}"},
        ),
        Package(
            "nvidia-fabricmanager",
            full,
            files={f"{UNIT_FOLDER}/nvidia-fabricmanager.service": FABRIC_MANAGER_UNIT.format(version=version)},
        ),
    ]
    return [replace(package, source="nvidia-graphics-drivers") for package in made]


def kernel_module(**about: str) -> bytes:
    """An ELF file that modinfo reads, as `modinfo -F NAME` shows: its one section is .modinfo (elf(5))."""
    info = b"".join(f"{name}={value}".encode() + b"\0" for name, value in about.items())
    names, header = b"\0.modinfo\0.shstrtab\0", 64
    sections = -(-(header + len(info) + len(names)) // 8) * 8
    start = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, sections, 0, 64, 0, 0, 64, 3, 2)

    def section(name: int, kind: int, flags: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, kind, flags, 0, offset, size, 0, 0, 1, 0)

    table = section(0, 0, 0, 0, 0) + section(1, 1, 2, header, len(info))
    table += section(10, 3, 0, header + len(info), len(names))
    return (start + info + names).ljust(sections, b"\0") + table


def kernel(version: str) -> list[Package]:
    """What follows a kernel's versions: the image, and the headers that DKMS builds with."""
    return [Package("linux-image-stand-in", version), Package("linux-headers-stand-in", version)]


def cuda(version: str) -> list[Package]:
    series, full = "-".join(version.split(".")[:2]), f"{version}-1"
    return [
        Package(f"cuda-toolkit-{series}", full, f"cuda-libraries-{series} (>= {version})"),
        Package(f"cuda-libraries-{series}", full),
    ]


def cudnn(version: str, cuda_major: str) -> list[Package]:
    return [Package(f"libcudnn9-cuda-{cuda_major}", f"{version}-1")]


def container_toolkit(version: str) -> list[Package]:
    full, tools = f"{version}-1", "libnvidia-container-tools"
    return [
        Package(
            "nvidia-container-toolkit",
            full,
            f"nvidia-container-toolkit-base (= {full}), {tools} (>= {full}), {tools} (<< 2.0.0)",
        ),
        Package("nvidia-container-toolkit-base", full, files={"usr/bin/nvidia-ctk": NVIDIA_CTK}),
        Package("libnvidia-container-tools", full, f"libnvidia-container1 (>= {full})"),
        Package("libnvidia-container1", full),
    ]


# Two releases of everything, so that there is something to upgrade to.
PACKAGES = (
    *driver("580.95.05"), *driver("580.159.03"), *cuda("13.0.1"), *cuda("13.0.2"), *cudnn("9.17.1.4", "13"),
    *cudnn("9.20.0.48", "13"), *container_toolkit("1.17.8"), *container_toolkit("1.18.2"),
    *kernel("6.1"),
)  # fmt: skip


def build_repository(folder: Path, packages: Sequence[Package] = PACKAGES) -> Path:
    """Build the packages into a flat, signed repository in `folder`; the path of its public key."""
    paragraphs = [_build(folder, package) for package in packages]
    index = "\n".join(paragraphs).encode()
    (folder / "Packages").write_bytes(index)
    (folder / "Packages.gz").write_bytes(gzip.compress(index, mtime=0))
    return _sign(folder, ["Packages", "Packages.gz"])


def _build(folder: Path, package: Package) -> str:
    """Make one package; its paragraph in the index."""
    root = folder / "build" / f"{package.name}_{package.version}"
    control = f"Package: {package.name}\nVersion: {package.version}\nArchitecture: amd64\n"
    if package.source:
        control += f"Source: {package.source}\n"
    control += "Maintainer: wxops tests <tests@wxops.invalid>\n"
    if package.depends:
        control += f"Depends: {package.depends}\n"
    control += "Description: stand-in that contains nothing of NVIDIA's\n"
    _write(root / "DEBIAN/control", control)
    for path, text in package.files.items():
        _write(root / path, text, 0o755 if "/bin/" in path or path.startswith("DEBIAN/p") else 0o644)
    for path, target in package.links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    file = folder / f"{package.name}_{package.version}_amd64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    content = file.read_bytes()
    return control + f"Filename: ./{file.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def _sign(folder: Path, indexes: Sequence[str]) -> Path:
    """InRelease by a key made for this repository alone; the key's public part."""
    lines = ["Origin: wxops tests", "Label: stand-ins", "Date: Sun, 22 Nov 2026 00:00:00 UTC", "SHA256:"]
    for name in indexes:
        content = (folder / name).read_bytes()
        lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
    release, home = folder / "Release", folder / "gnupg"
    release.write_text("\n".join(lines) + "\n")
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--quiet",
        "--yes",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    try:
        subprocess.run(
            [*gpg, "--quick-generate-key", "stand-ins", "ed25519", "sign", "never"], check=True, capture_output=True
        )
        subprocess.run([*gpg, "--clearsign", "--output", str(folder / "InRelease"), str(release)], check=True)
        key = folder / "key.asc"
        subprocess.run([*gpg, "--armor", "--export", "--output", str(key)], check=True)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return key


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path, address: str) -> Iterator[str]:
    """Serve a folder over HTTP at an address of this machine; its URL."""
    handler = functools.partial(_Quiet, directory=os.fspath(folder))
    with ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
