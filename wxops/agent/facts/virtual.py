"""Is this host a virtual machine or a container, or does it run some? The first trace found gives type and role."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    from wxops.agent.facts.host import Host

    Trace = Tuple[str, str]  # technology, role

DMI = "/sys/devices/virtual/dmi/id/"
CGROUPS = (  # part of the path of process 1, technology
    ("/docker/", "docker"),
    ("/docker-", "docker"),
    ("/lxc/", "lxc"),
    ("/machine.slice/machine-lxc", "lxc"),
    ("/system.slice/containerd.service", "containerd"),
)
CONTAINERS = frozenset(["docker", "lxc", "podman", "openvz", "containerd"])
FIRMWARE = (  # file, what it says, technology
    ("product_name", ("KVM", "KVM Server", "Bochs", "AHV", "CloudStack KVM Hypervisor"), "kvm"),
    ("sys_vendor", ("oVirt",), "oVirt"),
    ("product_family", ("RHV",), "RHV"),
    ("product_name", ("RHEV Hypervisor",), "RHEV"),
    ("product_name", ("OpenStack Compute", "OpenStack Nova"), "openstack"),
    ("bios_vendor", ("Xen",), "xen"),
    ("bios_vendor", ("innotek GmbH",), "virtualbox"),
    ("bios_vendor", ("Amazon EC2", "DigitalOcean", "Hetzner", "Linode"), "kvm"),
    ("sys_vendor", ("QEMU", "Amazon EC2", "DigitalOcean", "Google", "Scaleway", "Nutanix"), "kvm"),
    ("sys_vendor", ("KubeVirt",), "KubeVirt"),
    ("sys_vendor", ("Microsoft Corporation",), "VirtualPC"),
    ("sys_vendor", ("Parallels Software International Inc.",), "parallels"),
    ("sys_vendor", ("OpenStack Foundation",), "openstack"),
    ("product_name", ("BHYVE",), "bhyve"),
)


def virtualization(host: Host) -> Dict[str, Any]:
    traces = list(_traces(host))
    kind, role = traces[0] if traces else ("NA", "NA")
    guest = {technology for technology, role in traces if role == "guest"}
    if guest & CONTAINERS or host.read("/run/systemd/container"):
        guest.add("container")
    return {
        "virtualization_type": kind,
        "virtualization_role": role,
        "virtualization_tech_guest": sorted(guest),
        "virtualization_tech_host": sorted({technology for technology, role in traces if role == "host"}),
    }


def _traces(host: Host) -> Iterator[Trace]:
    """Innermost first: a container in a virtual machine is a container."""
    yield from _container(host)
    if host.exists("/proc/xen"):
        yield "xen", "host" if "control_d" in host.read("/proc/xen/capabilities") else "guest"
    yield from _machine(host)
    yield from _kernel_modules(host)
    if host.exists("/dev/kvm"):
        yield "kvm", "host"


def _container(host: Host) -> Iterator[Trace]:
    for line in host.lines("/proc/1/cgroup"):
        yield from ((technology, "guest") for part, technology in CGROUPS if part in line)
    for setting in host.read("/proc/1/environ").split("\0"):  # root alone may read it
        yield from ((name, "guest") for name in ("lxc", "podman") if "container=" + name in setting)
        if setting.partition("=")[0] == "container":
            yield "container", "guest"
    if host.exists("/proc/vz") and not host.exists("/proc/lve"):
        yield "openvz", "host" if host.exists("/proc/bc") else "guest"
    told = host.read("/run/systemd/container")
    if told:
        yield told, "guest"
    if host.exists("/.dockerenv") or host.exists("/.dockerinit"):
        yield "docker", "guest"


def _machine(host: Host) -> Iterator[Trace]:
    said = {name: host.read(DMI + name) for name in ("product_name", "product_family", "sys_vendor", "bios_vendor")}
    if said["product_name"].startswith("VMware"):
        yield "VMware", "guest"
    yield from ((technology, "guest") for name, values, technology in FIRMWARE if said[name] in values)


def _kernel_modules(host: Host) -> Iterator[Trace]:
    modules = {line.partition(" ")[0] for line in host.lines("/proc/modules")}
    if "kvm" in modules:
        yield "kvm", "host"
    if "vboxdrv" in modules:
        yield "virtualbox", "host"
    if "virtio" in modules:
        yield "kvm", "guest"
