"""Interfaces with their addresses, the way out to the internet, and the addresses this host answers for."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from wxops.agent.facts.netlink import Netlink

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host
    from wxops.agent.facts.netlink import Address

    Facts = Dict[str, Any]

FOLDER = "/sys/class/net/"
TYPES = {"1": "ether", "32": "infiniband", "512": "ppp", "772": "loopback", "65534": "tunnel"}  # linux/if_arp.h
PROMISCUOUS = 0x100  # linux/if.h
FAR_AWAY = {"default_ipv4": "8.8.8.8", "default_ipv6": "2404:6800:400a:800::1012"}  # never contacted; as Ansible's


def network(host: Host) -> Facts:
    with Netlink() as kernel:
        addresses = kernel.addresses()
        ways_out = {fact: kernel.route_to(destination) for fact, destination in FAR_AWAY.items()}
        local = {"ipv4": kernel.local_routes(socket.AF_INET), "ipv6": kernel.local_routes(socket.AF_INET6)}
    facts = describe(host, addresses, ways_out)
    if host.command("ethtool"):  # not needed; but only then has Ansible these facts, and plays see the same here
        from wxops.agent.facts.ethtool import ethtool

        for name in facts["interfaces"]:
            facts[name].update(ethtool(name))
    return dict(facts, locally_reachable_ips=local)


def describe(host: Host, addresses: List[Address], ways_out: Dict[str, Dict[str, str]]) -> Facts:
    """The facts about interfaces, from what sysfs says of them and the kernel of their addresses."""
    numbers = {name: host.read(FOLDER + name + "/ifindex") for name in host.names(FOLDER)}
    names = {int(number): name for name, number in numbers.items() if number}
    interfaces = {names[index]: _interface(host, names[index]) for index in sorted(names)}
    every: Dict[int, List[str]] = {socket.AF_INET: [], socket.AF_INET6: []}
    here = [address for address in addresses if address.interface in names]
    for address in sorted(here, key=lambda address: (address.interface, address.secondary)):
        name = names[address.interface]
        if address.family == socket.AF_INET:
            _add_ipv4(interfaces, name, address)
        else:
            _add_ipv6(interfaces[name], address)
        if address.address != "::1" and not address.address.startswith("127."):
            every[address.family].append(address.address)
    facts: Facts = {name.replace(":", "_"): found for name, found in interfaces.items()}
    facts.update(interfaces=list(facts), all_ipv4_addresses=every[socket.AF_INET],
                 all_ipv6_addresses=every[socket.AF_INET6])  # fmt: skip
    for fact, way in ways_out.items():
        leaving = [address for address in here if address.address == way.get("address")]
        facts[fact] = dict(way, **_origin(leaving[-1], interfaces[names[leaving[-1].interface]])) if leaving else way
    return facts


def _interface(host: Host, name: str) -> Facts:
    """What sysfs says of an interface. It may be taken away at any time: containers come and go."""
    folder = FOLDER + name
    flags = int(host.read(folder + "/flags") or "0", 16)
    facts: Facts = {
        "device": name,
        "mtu": int(host.read(folder + "/mtu") or 0),
        "active": host.read(folder + "/operstate") != "down",
        "type": TYPES.get(host.read(folder + "/type"), "unknown"),
        "promisc": bool(flags & PROMISCUOUS),
    }
    mac, speed = host.read(folder + "/address"), host.read(folder + "/speed")
    if mac and mac != "00:00:00:00:00:00":
        facts["macaddress"] = mac
    if speed:  # the kernel refuses to say it of an interface that is down
        facts["speed"] = int(speed)
    if host.exists(folder + "/device"):
        facts["pciid"] = os.path.basename(host.link(folder + "/device"))
    module = host.link(folder + "/device/driver/module")
    if module:
        facts["module"] = os.path.basename(module)
    facts.update(_bridge(host, folder))
    facts.update(_bond(host, folder))
    return facts


def _bridge(host: Host, folder: str) -> Facts:
    if not host.exists(folder + "/bridge"):
        return {}
    return {
        "type": "bridge",
        "interfaces": host.names(folder + "/brif"),
        "id": host.read(folder + "/bridge/bridge_id"),
        "stp": host.read(folder + "/bridge/stp_state") == "1",
    }


def _bond(host: Host, folder: str) -> Facts:
    if host.exists(folder + "/bonding_slave"):
        return {"perm_macaddress": host.read(folder + "/bonding_slave/perm_hwaddr")}
    if not host.exists(folder + "/bonding"):
        return {}
    words = {name: host.read(folder + "/bonding/" + name).split() for name in ("slaves", "mode", "miimon", "lacp_rate")}
    facts: Facts = {name: values[0] if values else "" for name, values in words.items()}
    facts.update(type="bonding", slaves=words["slaves"])
    primary = host.read(folder + "/bonding/primary")
    if primary:
        facts["primary"] = primary
        facts["all_slaves_active"] = host.read(folder + "/bonding/all_slaves_active") == "1"
    return facts


def _add_ipv4(interfaces: Dict[str, Facts], device: str, address: Address) -> None:
    """Under its label: an alias such as eth0:1 is an interface of its own in Ansible's eyes."""
    entry = _ipv4(address)
    owner = interfaces.setdefault(address.label or device, {})
    if address.secondary or "ipv4" in owner:
        owner.setdefault("ipv4_secondaries", []).append(entry)
        if address.secondary and owner is not interfaces[device]:
            interfaces[device].setdefault("ipv4_secondaries", []).append(entry)
    else:
        owner["ipv4"] = entry


def _ipv4(address: Address) -> Dict[str, str]:
    """The prefix of a point-to-point link is of its other end; this end is alone."""
    prefix = 32 if address.peer else address.prefix
    mask = (1 << 32) - (1 << 32 - prefix)
    number = struct.unpack("!L", socket.inet_aton(address.address))[0]
    return {
        "address": address.address,
        "broadcast": "" if address.peer else address.broadcast,
        "netmask": socket.inet_ntoa(struct.pack("!L", mask)),
        "network": socket.inet_ntoa(struct.pack("!L", number & mask)),
        "prefix": str(prefix),
    }


def _add_ipv6(interface: Facts, address: Address) -> None:
    entry = {"address": address.address, "prefix": str(address.prefix), "scope": address.scope}
    interface.setdefault("ipv6", []).append(entry)


def _origin(address: Address, interface: Facts) -> Facts:
    """What is known of the address that packets to the internet leave from."""
    facts: Facts = {name: interface.get(name, "") for name in ("mtu", "type", "macaddress")}
    if address.family == socket.AF_INET:
        return dict(facts, alias=address.label or interface["device"], **_ipv4(address))
    return dict(facts, prefix=str(address.prefix), scope=address.scope)
