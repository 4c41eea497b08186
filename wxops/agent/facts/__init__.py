"""What a host says of itself, under Ansible's names. Each area has a file; this one chooses, runs and names them.

Nothing here changes the host. A part that fails costs its own facts and a warning, never the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wxops.agent.facts import (
    block,
    cmdline,
    date_time,
    distribution,
    dns,
    env,
    foreign,
    hardware,
    initiators,
    local,
    lsb,
    lvm,
    mounts,
    network,
    pkg_mgr,
    python,
    security,
    service_mgr,
    ssh_keys,
    system,
    user,
    virtual,
)  # fmt: skip
from wxops.agent.facts.host import Host
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Sequence, Set, Tuple

    Part = Callable[[Host], Dict[str, Any]]

FACT_PATH = "/etc/ansible/facts.d"


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
    Collector("platform", (system.platform,),
              ("system", "kernel", "kernel_version", "machine", "python_version", "architecture", "machine_id")),
    Collector("distribution", (distribution.distribution,),
              ("distribution_version", "distribution_release", "distribution_major_version", "os_family")),
    Collector("lsb", (lsb.lsb,)),
    Collector("selinux", (security.selinux,)),
    Collector("apparmor", (security.apparmor,)),
    Collector("chroot", (system.chroot,), ("is_chroot",), minimal=False),
    Collector("fips", (security.fips,)),
    Collector("python", (python.python,)),
    Collector("caps", (security.capabilities,), ("system_capabilities", "system_capabilities_enforced")),
    Collector("pkg_mgr", (pkg_mgr.package_manager,), needs=("distribution",)),
    Collector("service_mgr", (service_mgr.service_manager,), needs=("platform", "distribution")),
    Collector("cmdline", (cmdline.cmdline,)),
    Collector("date_time", (date_time.date_time,)),
    Collector("env", (env.environment,)),
    Collector("loadavg", (system.load,), minimal=False),
    Collector("ssh_pub_keys", (ssh_keys.host_keys,),
              ("ssh_host_pub_keys", "ssh_host_key_dsa_public", "ssh_host_key_rsa_public",
               "ssh_host_key_ecdsa_public", "ssh_host_key_ed25519_public")),
    Collector("user", (user.user,),
              ("user_id", "user_uid", "user_gid", "user_gecos", "user_dir", "user_shell",
               "real_user_id", "effective_user_id", "effective_group_ids")),
    Collector("systemd", (service_mgr.systemd,), minimal=False),
    Collector("virtual", (virtual.virtualization,),
              ("virtualization_type", "virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"),
              minimal=False),
    Collector("hardware", (hardware.processors, hardware.memory, hardware.firmware, block.devices, system.uptime,
                           lvm.lvm, mounts.mounts),
              ("processor", "processor_cores", "processor_count", "mounts", "devices"), ("platform",), minimal=False),
    Collector("dns", (dns.dns,)),
    Collector("fibre_channel_wwn", (initiators.fibre_channel,), minimal=False),
    Collector("network", (network.network,),
              ("interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"),
              ("distribution", "platform"), minimal=False),
    Collector("iscsi", (initiators.iscsi,), minimal=False),
    Collector("nvme", (initiators.nvme,), minimal=False),
    Collector("local", (local.local,)),
    Collector("facter", (foreign.facter,), minimal=False, prefix="facter_"),
    Collector("ohai", (foreign.ohai,), minimal=False, prefix="ohai_"),
)  # fmt: skip
MINIMAL = frozenset(collector.name for collector in COLLECTORS if collector.minimal)
WORDS = frozenset(word for collector in COLLECTORS for word in (collector.name, *collector.facts))


def gather(
    subset: Sequence[str] = ("all",), timeout: float = 10, filter: Sequence[str] = (), fact_path: str = FACT_PATH
) -> Tuple[Dict[str, Any], List[str]]:
    """The facts under their full names (ansible_kernel, ...), and warnings about those that could not be had.

    subset:  words as for Ansible's gather_subset: all, min, network, !hardware, ...
    timeout: seconds that one command, one network file system or the resolver may take.
    filter:  shell patterns of names, with or without ansible_; none keeps all.
    Raises ModuleFailure for a word that is no subset.
    """
    host = Host(timeout=timeout, fact_path=fact_path)
    facts: Dict[str, Any] = {}
    for collector in chosen(subset):
        for part in collector.parts:
            found = _attempt(part, host)
            host.facts.update(found)
            facts.update((collector.prefix + name.replace("-", "_"), value) for name, value in found.items())
    facts.update(gather_subset=list(subset), module_setup=True)
    return _filtered(facts, filter), host.warnings


def _attempt(part: Part, host: Host) -> Dict[str, Any]:
    try:
        return part(host)
    except Exception as error:  # whatever a strange host makes of it
        area = part.__module__.rpartition(".")[2]
        host.warn("no facts from %s.%s: %s: %s" % (area, part.__name__, type(error).__name__, error))
        return {}


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


def _filtered(facts: Dict[str, Any], patterns: Sequence[str]) -> Dict[str, Any]:
    if not patterns or "*" in patterns or "" in patterns:
        return facts
    from fnmatch import fnmatchcase

    full = [pattern for given in patterns for pattern in (given, "ansible_" + given)]
    return {name: value for name, value in facts.items() if any(fnmatchcase(name, pattern) for pattern in full)}
