"""Which distribution this is, in Ansible's words, from /etc/os-release and the vendors' own release files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.facts.host import Host

FAMILIES = {
    "RedHat": ("RedHat", "RHEL", "Fedora", "CentOS", "Scientific", "CloudLinux", "OracleLinux", "Amazon", "Virtuozzo",
               "XenServer", "Alibaba", "EulerOS", "openEuler", "AlmaLinux", "Rocky", "TencentOS", "EuroLinux",
               "Kylin Linux Advanced Server", "MIRACLE"),
    "Debian": ("Debian", "Ubuntu", "Raspbian", "Neon", "KDE neon", "Linux Mint", "SteamOS", "Devuan", "Kali",
               "Cumulus Linux", "Pop!_OS", "Parrot", "Pardus GNU/Linux", "Uos", "Deepin", "OSMC",
               "Linux Mint Debian Edition"),
    "Suse": ("SLES", "SLED", "SLES_SAP", "openSUSE", "openSUSE Tumbleweed", "openSUSE Leap", "openSUSE MicroOS",
             "SL-Micro"),
    "Archlinux": ("Archlinux", "Antergos", "Manjaro"),
}  # fmt: skip
FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}
DEBIAN_NAMES = {  # by the ID of os-release
    "debian": "Debian", "raspbian": "Debian", "ubuntu": "Ubuntu", "steamos": "SteamOS", "kali": "Kali",
    "parrot": "Parrot", "devuan": "Devuan", "linuxmint": "Linux Mint", "uos": "Uos", "deepin": "Deepin",
}  # fmt: skip
OTHER_NAMES = {"arch": "Archlinux", "alpine": "Alpine", "amzn": "Amazon"}


def distribution(host: Host) -> Dict[str, Any]:
    release = os_release(host)
    version = _version(host, release)
    codename = _codename(host, release)
    facts = {
        "distribution_version": version or "NA",
        "distribution_major_version": version.split(".")[0] or "NA",
        "distribution_release": "NA" if codename is None else codename,
    }
    facts.update(_from_vendor_file(host) or _from_os_release(host, release))
    facts["os_family"] = FAMILY_OF.get(facts["distribution"], facts["distribution"])
    return facts


def os_release(host: Host) -> Dict[str, str]:
    """The assignments of os-release(5), unquoted."""
    values = {}
    for line in host.lines("/etc/os-release") or host.lines("/usr/lib/os-release"):
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = re.sub(r"\\(.)", r"\1", value[1:-1] if value[:1] in ("'", '"') else value)
    return values


def _from_vendor_file(host: Host) -> Optional[Dict[str, Any]]:
    """The RHEL family says who it is in files that are older than os-release."""
    oracle = host.read("/etc/oracle-release")
    if "Oracle Linux" in oracle:
        return dict(_file("/etc/oracle-release", "OracleLinux"), distribution_file_search_string="Oracle Linux")
    centos = host.read("/etc/centos-release")
    if "CentOS Stream" in centos:
        return dict(_file("/etc/centos-release", "CentOS"), distribution_release="Stream")
    if "TencentOS Server" in centos:
        return dict(_file("/etc/centos-release", "CentOS"), distribution="TencentOS")
    redhat = host.read("/etc/redhat-release")
    if "Red Hat" in redhat:
        return dict(_file("/etc/redhat-release", "RedHat"), distribution_file_search_string="Red Hat")
    if redhat:
        return dict(_file("/etc/redhat-release", "RedHat"), distribution=redhat.split()[0])
    return None


def _file(path: str, variety: str) -> Dict[str, Any]:
    return {"distribution": variety, "distribution_file_path": path, "distribution_file_variety": variety,
            "distribution_file_parsed": True}  # fmt: skip


def _from_os_release(host: Host, release: Dict[str, str]) -> Dict[str, Any]:
    identity = release.get("ID", "").lower()
    if identity in DEBIAN_NAMES:
        name = DEBIAN_NAMES[identity]
        minor = re.search(r"\d+\.(\d+)", host.read("/etc/debian_version")) if name == "Debian" else None
        facts = dict(_file("/etc/os-release", "Debian"), distribution=name)
        return dict(facts, distribution_minor_version=minor.group(1)) if minor else facts
    if identity == "amzn":
        minor_version = release.get("VERSION_ID", "").partition(".")[2] or "NA"
        return dict(_file("/etc/os-release", "Amazon"), distribution_minor_version=minor_version)
    name = OTHER_NAMES.get(identity) or release.get("NAME") or "OtherLinux"
    return dict(_file("/etc/os-release", "NA"), distribution=name) if release else {"distribution": name}


def _version(host: Host, release: Dict[str, str]) -> str:
    """VERSION_ID, or what tells more: Debian and CentOS keep their point release elsewhere."""
    version, identity = release.get("VERSION_ID", ""), release.get("ID", "")
    if identity == "debian":
        point = (host.lines("/etc/debian_version") or [""])[0]
        return point if point.count(".") > version.count(".") or not version else version
    if identity == "centos" or not version:
        point = _release_file(host)["version"]
        return ".".join(point.split(".")[:2]) if point.count(".") > version.count(".") or not version else version
    return version


def _codename(host: Host, release: Dict[str, str]) -> Optional[str]:
    """The release's name; None where it has none (an empty VERSION_CODENAME says so on purpose)."""
    for field in ("VERSION_CODENAME", "UBUNTU_CODENAME"):
        if field in release:
            return release[field]
    bracketed = re.search(r"\((\D+)\)|,\s*(\D+)", release.get("VERSION", ""))
    if bracketed:
        return bracketed.group(1) or bracketed.group(2)
    return _release_file(host)["codename"] or None


def _release_file(host: Host) -> Dict[str, str]:
    """Version and codename in a line such as "openEuler release 22.03 (LTS-SP1)"."""
    for name in sorted(host.names("/etc")):
        if re.match(r"\w+-release$", name) and name not in ("os-release", "lsb-release", "system-release"):
            line = (host.lines("/etc/" + name) or [""])[0]
            found = re.search(r"(\S*\d\S*)\s*(?:\(([^)]*)\))?\s*$", line)
            if found:
                return {"version": found.group(1), "codename": found.group(2) or ""}
    return {"version": "", "codename": ""}
