"""Which facts there are: what each word of gather_subset gathers, in the order in which it is gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wxops.agent.facts.block import devices
from wxops.agent.facts.cmdline import cmdline
from wxops.agent.facts.date_time import date_time
from wxops.agent.facts.distribution import distribution
from wxops.agent.facts.dns import dns
from wxops.agent.facts.env import environment
from wxops.agent.facts.foreign import facter, ohai
from wxops.agent.facts.hardware import firmware, memory, processors
from wxops.agent.facts.initiators import fibre_channel, iscsi, nvme
from wxops.agent.facts.local import local
from wxops.agent.facts.lsb import lsb
from wxops.agent.facts.lvm import lvm
from wxops.agent.facts.mounts import mounts
from wxops.agent.facts.network import network
from wxops.agent.facts.pkg_mgr import package_manager
from wxops.agent.facts.python import python
from wxops.agent.facts.security import apparmor, capabilities, fips, selinux
from wxops.agent.facts.service_mgr import service_manager, systemd
from wxops.agent.facts.ssh_keys import host_keys
from wxops.agent.facts.system import chroot, load, platform, uptime
from wxops.agent.facts.user import user
from wxops.agent.facts.virtual import virtualization
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Sequence, Set, Tuple

    from wxops.agent.facts.host import Host

    Part = Callable[[Host], Dict[str, Any]]


class Collector(NamedTuple):
    """What one word of gather_subset gathers: the facts of all its parts, and before them those of `needs`.

    Naming one of `facts` gathers them all: Ansible knows these words, too.
    """

    name: str
    parts: Tuple[Part, ...]
    facts: Sequence[str] = ()
    needs: Sequence[str] = ()
    minimal: bool = True
    prefix: str = "ansible_"


COLLECTORS = (  # in the order in which they run: those that others need come first
    Collector("platform", (platform,),
              ("system", "kernel", "kernel_version", "machine", "python_version", "architecture", "machine_id")),
    Collector("distribution", (distribution,),
              ("distribution_version", "distribution_release", "distribution_major_version", "os_family")),
    Collector("lsb", (lsb,)),
    Collector("selinux", (selinux,)),
    Collector("apparmor", (apparmor,)),
    Collector("chroot", (chroot,), ("is_chroot",), minimal=False),
    Collector("fips", (fips,)),
    Collector("python", (python,)),
    Collector("caps", (capabilities,), ("system_capabilities", "system_capabilities_enforced")),
    Collector("pkg_mgr", (package_manager,), needs=("distribution",)),
    Collector("service_mgr", (service_manager,), needs=("platform", "distribution")),
    Collector("cmdline", (cmdline,)),
    Collector("date_time", (date_time,)),
    Collector("env", (environment,)),
    Collector("loadavg", (load,), minimal=False),
    Collector("ssh_pub_keys", (host_keys,),
              ("ssh_host_pub_keys", "ssh_host_key_dsa_public", "ssh_host_key_rsa_public",
               "ssh_host_key_ecdsa_public", "ssh_host_key_ed25519_public")),
    Collector("user", (user,),
              ("user_id", "user_uid", "user_gid", "user_gecos", "user_dir", "user_shell",
               "real_user_id", "effective_user_id", "effective_group_ids")),
    Collector("systemd", (systemd,), minimal=False),
    Collector("virtual", (virtualization,),
              ("virtualization_type", "virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"),
              minimal=False),
    Collector("hardware", (processors, memory, firmware, devices, uptime,
                           lvm, mounts),
              ("processor", "processor_cores", "processor_count", "mounts", "devices"), ("platform",), minimal=False),
    Collector("dns", (dns,)),
    Collector("fibre_channel_wwn", (fibre_channel,), minimal=False),
    Collector("network", (network,),
              ("interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"),
              ("distribution", "platform"), minimal=False),
    Collector("iscsi", (iscsi,), minimal=False),
    Collector("nvme", (nvme,), minimal=False),
    Collector("local", (local,)),
    Collector("facter", (facter,), minimal=False, prefix="facter_"),
    Collector("ohai", (ohai,), minimal=False, prefix="ohai_"),
)  # fmt: skip
MINIMAL = frozenset(collector.name for collector in COLLECTORS if collector.minimal)
WORDS = frozenset(word for collector in COLLECTORS for word in (collector.name, *collector.facts))


def chosen(subset: Sequence[str]) -> List[Collector]:
    """The collectors that the words of gather_subset stand for, in the order to run them.

    The minimum is always in, unless !min takes it out; a word named by itself stays in, whatever else takes it out.
    """
    named = {word for word in subset if not word.startswith("!") and word not in ("all", "min")}
    unknown = sorted(named - WORDS)
    if unknown:
        raise ModuleFailure(
            "gather_subset: %r is not a subset; known: all, min, %s" % (unknown[0], ", ".join(sorted(WORDS)))
        )
    wanted = set(named | MINIMAL | (WORDS if "all" in subset else frozenset()))
    wanted -= _excluded(word[1:] for word in subset if word.startswith("!")) - named
    picked = {collector.name for collector in COLLECTORS if wanted & {collector.name, *collector.facts}}
    picked |= {need for collector in COLLECTORS if collector.name in picked for need in collector.needs}
    return [collector for collector in COLLECTORS if collector.name in picked]


def _excluded(words: Iterable[str]) -> Set[str]:
    excluded: Set[str] = set()
    for word in words:
        if word == "min":
            excluded |= MINIMAL
        elif word == "all":
            excluded |= WORDS - MINIMAL
        else:
            excluded |= {word}.union(*(collector.facts for collector in COLLECTORS if collector.name == word))
    return excluded
