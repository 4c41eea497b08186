"""Interfaces and routes are told as Ansible tells them, and as `ip` of this machine sees them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.facts_host import host_of
from wxops.agent.facts.ethtool import ethtool
from wxops.agent.facts.gathering import gather
from wxops.agent.facts.host import Host
from wxops.agent.facts.netlink import Address, Netlink
from wxops.agent.facts.network import describe


def interface(name: str, index: int, **files: str) -> dict[str, str]:
    given = {"mtu": "1500", "type": "1", "operstate": "up", "flags": "0x1003", "address": f"02:00:00:00:00:0{index}"}
    folder = f"/sys/class/net/{name}/"
    return {folder + file: text + "\n" for file, text in {**given, "ifindex": str(index), **files}.items()}


def ipv4(index: int, address: str, prefix: int, **more: Any) -> Address:
    given: dict[str, Any] = {"peer": "", "broadcast": "", "scope": "global", "label": "", "secondary": False, **more}
    return Address(index, socket.AF_INET, address, prefix, **given)


def ipv6(index: int, address: str, prefix: int, scope: str = "global") -> Address:
    return Address(index, socket.AF_INET6, address, prefix, "", "", scope, "", False)


def eth0(tmp_path: Path) -> Host:
    return host_of(tmp_path, interface("eth0", 2, speed="25000"))


def test_an_interface_with_its_addresses(tmp_path: Path) -> None:
    addresses = [ipv4(2, "192.0.2.7", 24, broadcast="192.0.2.255", label="eth0"), ipv6(2, "fe80::1", 64, "link")]
    assert describe(eth0(tmp_path), addresses, {})["eth0"] == {
        "device": "eth0", "mtu": 1500, "type": "ether", "active": True, "promisc": False, "speed": 25000,
        "macaddress": "02:00:00:00:00:02",
        "ipv4": {"address": "192.0.2.7", "broadcast": "192.0.2.255", "netmask": "255.255.255.0", "network": "192.0.2.0",
                 "prefix": "24"},
        "ipv6": [{"address": "fe80::1", "prefix": "64", "scope": "link"}],
    }  # fmt: skip


def test_more_addresses_are_secondaries_and_labels_are_interfaces(tmp_path: Path) -> None:
    facts = describe(eth0(tmp_path), [
        ipv4(2, "10.1.0.5", 24, label="eth0"),
        ipv4(2, "10.1.0.7", 24, label="eth0:1", secondary=True),
        ipv4(2, "10.2.0.1", 16, label="eth0:2"),
        ipv4(2, "10.1.0.6", 24, label="eth0", secondary=True),
    ], {})  # fmt: skip
    assert facts["eth0"]["ipv4"]["address"] == "10.1.0.5"
    assert [entry["address"] for entry in facts["eth0"]["ipv4_secondaries"]] == ["10.1.0.7", "10.1.0.6"]
    assert facts["eth0_2"]["ipv4"]["network"] == "10.2.0.0"
    assert facts["eth0_1"]["ipv4_secondaries"][0]["address"] == "10.1.0.7"
    assert facts["interfaces"] == ["eth0", "eth0_2", "eth0_1"]
    assert facts["all_ipv4_addresses"] == ["10.1.0.5", "10.2.0.1", "10.1.0.7", "10.1.0.6"]


def test_this_end_of_a_point_to_point_link_is_alone(tmp_path: Path) -> None:
    facts = describe(eth0(tmp_path), [ipv4(2, "10.8.0.1", 24, peer="10.8.0.2", broadcast="10.8.0.255")], {})
    assert facts["eth0"]["ipv4"] == {
        "address": "10.8.0.1", "broadcast": "", "netmask": "255.255.255.255", "network": "10.8.0.1", "prefix": "32",
    }  # fmt: skip


def test_the_way_out_knows_its_interface(tmp_path: Path) -> None:
    addresses = [ipv4(2, "192.0.2.7", 24, broadcast="192.0.2.255", label="eth0"), ipv6(2, "2001:db8::7", 64)]
    ways = {
        "default_ipv4": {"interface": "eth0", "address": "192.0.2.7", "gateway": "192.0.2.1"},
        "default_ipv6": {"interface": "eth0", "address": "2001:db8::7", "gateway": "fe80::1"},
    }
    facts = describe(eth0(tmp_path), addresses, ways)
    common = {"interface": "eth0", "macaddress": "02:00:00:00:00:02", "mtu": 1500, "type": "ether"}
    assert facts["default_ipv4"] == {
        **common, "address": "192.0.2.7", "gateway": "192.0.2.1", "alias": "eth0", "broadcast": "192.0.2.255",
        "netmask": "255.255.255.0", "network": "192.0.2.0", "prefix": "24",
    }  # fmt: skip
    assert facts["default_ipv6"] == {
        **common, "address": "2001:db8::7", "gateway": "fe80::1", "prefix": "64", "scope": "global",
    }  # fmt: skip


def test_loopback_addresses_are_not_among_all_addresses(tmp_path: Path) -> None:
    host = host_of(tmp_path, interface("lo", 1, type="772", address="00:00:00:00:00:00", operstate="unknown"))
    facts = describe(host, [ipv4(1, "127.0.0.1", 8, label="lo"), ipv6(1, "::1", 128, "host")], {})
    assert facts["all_ipv4_addresses"] == facts["all_ipv6_addresses"] == []
    assert facts["lo"]["type"] == "loopback" and facts["lo"]["active"] and "macaddress" not in facts["lo"]


def test_bridges_bonds_and_their_members(tmp_path: Path) -> None:
    bond = {"slaves": "eth0 eth1", "mode": "active-backup 1", "miimon": "100", "lacp_rate": "slow 0", "primary": "eth0",
            "all_slaves_active": "0"}  # fmt: skip
    facts = describe(host_of(tmp_path, {
        **interface("br0", 3), "/sys/class/net/br0/bridge/bridge_id": "8000.020000000003",
        "/sys/class/net/br0/bridge/stp_state": "1", "/sys/class/net/br0/brif/veth1/x": "",
        **interface("bond0", 4), **{f"/sys/class/net/bond0/bonding/{name}": text for name, text in bond.items()},
        **interface("eth0", 2), "/sys/class/net/eth0/bonding_slave/perm_hwaddr": "02:aa",
    }), [], {})  # fmt: skip
    assert (facts["br0"]["type"], facts["br0"]["interfaces"], facts["br0"]["stp"]) == ("bridge", ["veth1"], True)
    told = {name: facts["bond0"][name] for name in ("type", "slaves", "mode", "miimon", "lacp_rate", "primary")}
    assert told == {"type": "bonding", "slaves": ["eth0", "eth1"], "mode": "active-backup", "miimon": "100",
                    "lacp_rate": "slow", "primary": "eth0"}  # fmt: skip
    assert facts["eth0"]["perm_macaddress"] == "02:aa"


def test_an_interface_that_goes_away_meanwhile_costs_nothing_else(tmp_path: Path) -> None:
    host = eth0(tmp_path)
    (tmp_path / "sys/class/net/veth9").mkdir()
    facts = describe(host, [ipv4(9, "10.9.0.1", 24, label="veth9")], {})
    assert facts["interfaces"] == ["eth0"] and facts["all_ipv4_addresses"] == []


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 to compare with")
def test_addresses_are_those_that_ip_shows() -> None:
    shown = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True).stdout)
    expected = {(link["ifindex"], entry["local"], entry["prefixlen"], entry["scope"])
                for link in shown for entry in link["addr_info"]}  # fmt: skip
    with Netlink() as kernel:
        found = {(entry.interface, entry.address, entry.prefix, entry.scope) for entry in kernel.addresses()}
    assert found == expected


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 to compare with")
@pytest.mark.parametrize("destination", ["127.0.0.1", "8.8.8.8", "2404:6800:400a:800::1012"])
def test_routes_are_those_that_ip_finds(destination: str) -> None:
    shown = subprocess.run(["ip", "-j", "route", "get", destination], capture_output=True)
    route = json.loads(shown.stdout)[0] if shown.returncode == 0 else {"type": "unreachable"}
    expected = {"interface": route.get("dev"), "address": route.get("prefsrc"), "gateway": route.get("gateway")}
    with Netlink() as kernel:
        found = kernel.route_to(destination)
    assert found == ({} if "type" in route else {name: value for name, value in expected.items() if value})


def test_the_loopback_prefix_is_reachable_locally() -> None:
    facts, warnings = gather(["!all", "!min", "network"])
    assert "127.0.0.0/8" in facts["ansible_locally_reachable_ips"]["ipv4"] and warnings == []


def test_offload_features_of_the_loopback_interface() -> None:
    """Its checksums are always computed: the kernel fixes that (drivers/net/loopback.c)."""
    facts = ethtool("lo")
    assert facts["features"]["rx_checksumming"] == "on [fixed]"
    assert facts["features"]["tcp_segmentation_offload"] in ("on", "off")
    assert "rx_software" in facts["timestamping"]


def test_there_are_no_offload_features_of_no_interface() -> None:
    assert ethtool("nonesuch0") == {}
