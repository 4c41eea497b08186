"""Packages of the distribution that GPUs depend on: read from dpkg's own file, or asked of rpm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    from wxops.agent.facts.host import Host

    Installed = Dict[str, Dict[str, Any]]
    """By name: version, held."""

STATUS = "/var/lib/dpkg/status"
RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
OF_GPUS = re.compile(
    r"(lib)?(nvidia|cuda|cudnn|nccl|nvinfer|tensorrt|xserver-xorg-video-nvidia|linux-(modules|objects)-nvidia"
    r"|kmod-nvidia|dkms-nvidia|datacenter-gpu-manager|nvlsm|rocm|amdgpu|amd-smi|habanalabs|xorg-x11-drv-nvidia)"
)
"""What the record lists, with what upgrades packages by itself."""
UPGRADERS = ("unattended-upgrades", "dnf-automatic")
OF_RUNTIMES = re.compile(r"(docker|containerd|podman|moby|runc|openssl|libssl|libcrypto|compat-openssl)")
"""What the record tells of elsewhere."""
RPM_FORM = "%{NAME}\t%{EPOCH}\t%{VERSION}-%{RELEASE}\n"
LOCKS = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list")


def installed(host: Host) -> Installed:
    """Packages of GPUs and of what runs containers, from whichever database the host has."""
    text = host.read(STATUS)
    found = _of_dpkg(text) if text else _of_rpm(host)
    return {name: about for name, about in found if _wanted(name)}


def _wanted(name: str) -> bool:
    return bool(OF_GPUS.match(name) or OF_RUNTIMES.match(name)) or name in UPGRADERS


def _of_dpkg(text: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """From the file's text as it is: reading 600 stanzas whole would take ten times as long."""
    for found in re.finditer(r"^Package: (\S+)\nStatus: (\S+) \S+ installed\n((?:.+\n?)*)", text, re.MULTILINE):
        name, want, rest = found.groups()
        if _wanted(name):
            version = re.search(r"^Version: (\S+)", rest, re.MULTILINE)
            yield name, {"version": version.group(1) if version else "", "held": want == "hold"}


def _of_rpm(host: Host) -> Iterator[Tuple[str, Dict[str, Any]]]:
    rpm = host.command("rpm")
    if not rpm or not any(host.names(folder) for folder in RPM):
        return
    locked = " ".join(line for path in LOCKS for line in host.lines(path) if not line.startswith("#"))
    for line in host.output(rpm, "-qa", "--queryformat", RPM_FORM).splitlines():
        name, epoch, version = line.split("\t")
        held = re.search(r"(^|[\s:])%s-" % re.escape(name), locked) is not None
        yield name, {"version": version if epoch in ("(none)", "0") else "%s:%s" % (epoch, version), "held": held}


def listed(found: Installed) -> List[Dict[str, Any]]:
    """Those of GPUs, and what upgrades them unasked, as the record has them."""
    wanted = (name for name in sorted(found) if OF_GPUS.match(name) or name in UPGRADERS)
    return [dict(found[name], name=name) for name in wanted]
