"""Docker networks, and which containers are on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.docker_socket import Docker
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change
    from wxops.agent.resources import State

ALIASES = {"network_name": "name", "containers": "connected", "incremental": "appends"}
RANGE = {"subnet": "Subnet", "iprange": "IPRange", "gateway": "Gateway", "aux_addresses": "AuxiliaryAddresses"}


def docker_network(
    change: Change,
    name: str,
    state: Literal["present", "absent"] = "present",
    driver: Optional[str] = None,
    driver_options: Optional[Dict[str, Any]] = None,
    internal: Optional[bool] = None,
    attachable: Optional[bool] = None,
    enable_ipv6: Optional[bool] = None,
    ipam_driver: Optional[str] = None,
    ipam_config: Optional[List[Dict[str, Any]]] = None,
    labels: Optional[Dict[str, Any]] = None,
    connected: Optional[List[str]] = None,
    appends: bool = False,
    force: bool = False,
) -> Dict[str, Any]:
    """Make a Docker network, or remove it; connect containers to it.

    The engine cannot change a network: when a setting differs, its containers are disconnected, it is made anew with
    the settings that it had otherwise, and they are connected again with their names and addresses.

    name: the network's name.
    state: present or absent; absent disconnects its containers first.
    driver: bridge (the default of a new network), macvlan, ipvlan, overlay...
    driver_options: the driver's options; those not named stay as they are.
    internal: no way out of it.
    attachable: containers may join an overlay network by hand.
    enable_ipv6: give it IPv6 addresses too.
    ipam_driver: who gives addresses out.
    ipam_config: address ranges, each with subnet and, if need be, iprange, gateway, aux_addresses.
    labels: labels; those not named stay as they are.
    connected: containers that are to be on it; others are disconnected, unless `appends`.
    appends: leave the other containers on it.
    force: make it anew even if nothing differs.
    """
    if state == "absent":
        change.set("network", name, {"exists": False})
        return {}
    now = change.state("network", name)
    asked = {
        "driver": driver, "options": _texts(driver_options), "internal": internal, "attachable": attachable,
        "ipv6": enable_ipv6, "ipam_driver": ipam_driver, "ipam": _ranges(ipam_config), "labels": _texts(labels),
        "connected": _connected(change, now, connected, appends), "anew": True if force and now["exists"] else None,
    }  # fmt: skip
    change.set("network", name, dict({key: value for key, value in asked.items() if value is not None}, exists=True))
    return {"network": {} if change.check else Docker().get("/networks/%s" % name)}


def _texts(values: Optional[Dict[str, Any]]) -> Optional[Dict[str, str]]:
    return None if values is None else {key: str(value) for key, value in values.items()}


def _ranges(given: Optional[List[Dict[str, Any]]]) -> Optional[List[Dict[str, Any]]]:
    if given is None:
        return None
    unknown = {key for one in given for key in one} - set(RANGE)
    if unknown:
        raise ModuleFailure("ipam_config has no %s; it has %s" % (", ".join(sorted(unknown)), ", ".join(RANGE)))
    return [{RANGE[key]: value for key, value in one.items() if value} for one in given]


def _connected(change: Change, now: State, asked: Optional[List[str]], appends: bool) -> Optional[Dict[str, Any]]:
    """Container -> endpoint settings. What a run put aside (NAME.wxops-...) stays on the networks that it was on."""
    if asked is None:
        return None
    for container in asked:
        if not change.state("container", container)["exists"]:
            raise ModuleFailure("there is no container %s to connect" % container)
    has = now["connected"] if now["exists"] else {}
    stays = {container: settings for container, settings in has.items() if appends or ".wxops-" in container}
    return dict(stays, **{container: has.get(container, {}) for container in asked})
