"""What operators write of a container, in the fields of Docker's API; ports, sizes and devices by the SDK's own rules.

Only what was written is in the result. So a container is compared with what its task says, not with our defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docker import utils
from docker.errors import DockerException
from docker.types import DeviceRequest, Mount, Ulimit
from docker.utils.ports import build_port_bindings
from docker.utils.utils import convert_tmpfs_mounts

from wxops.errors import InputError

Body = dict[str, Any]
Convert = Callable[[Any], Any]

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
ENDPOINT = {"name", "aliases", "links", "ipv4_address", "ipv6_address"}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period"}
MOUNT = {"target", "source", "type", "read_only", "propagation", "no_copy", "labels", "tmpfs_size", "tmpfs_mode"}


def container_body(asked: Mapping[str, Any]) -> Body:
    """Arguments of docker_container -> fields of Docker's API, HostConfig within. Raises InputError."""
    given = {name: value for name, value in asked.items() if value is not None}
    body: Body = {}
    host: Body = {}
    for fields, place in ((CONFIG, body), (HOST_CONFIG, host)):
        for name, (field, convert) in fields.items():
            if name in given:
                place[field] = _converted(name, convert, given[name])
    _ports(given, body, host)
    _volumes(given, body, host)
    _restart(given, host)
    _log(given, host)
    _gpus(given, host)
    return {**body, "HostConfig": host}


def endpoints(networks: Sequence[Mapping[str, Any]] | None) -> dict[str, Body]:
    """`networks` -> endpoint settings by network, with what was written of each."""
    found: dict[str, Body] = {}
    for network in networks or ():
        _only("networks", network, ENDPOINT)
        addresses = {"IPv4Address": network.get("ipv4_address"), "IPv6Address": network.get("ipv6_address")}
        settings = {
            "Aliases": sorted(network.get("aliases") or ()), "Links": sorted(network.get("links") or ()),
            "IPAMConfig": {key: address for key, address in addresses.items() if address},
        }  # fmt: skip
        found[network["name"]] = {key: value for key, value in settings.items() if value}
    return found


def environment(variables: Mapping[str, Any]) -> list[str]:
    """`NAME=value` lines. YAML's own yes/no and fractions are refused: it is unclear which text they mean."""
    for name, value in variables.items():
        if isinstance(value, bool | float):
            raise ValueError(f"{name} is not text: put its value in quotes")
    return [f"{name}={value}" for name, value in variables.items() if value is not None]


def nanoseconds(duration: Any) -> int:
    """`90s`, `1m30s` or a number of seconds, in nanoseconds."""
    text = str(duration).replace(" ", "")
    if text.replace(".", "", 1).isdigit():
        return int(float(text) * 10**9)
    if not text or DURATION.sub("", text):
        raise ValueError(f"{duration!r} is no duration; write 90s or 1m30s")
    return int(sum(float(number) * NANOSECONDS[unit] for number, unit in DURATION.findall(text)))


def _converted(name: str, convert: Convert, value: Any) -> Any:
    try:
        return convert(value)
    except (DockerException, ValueError, TypeError, KeyError) as error:
        raise InputError(f"docker_container: {name}: {error}") from None


def _only(argument: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(
            f"docker_container: {argument} has no {unknown[0]!r}", fix=f"it has {', '.join(sorted(known))}"
        )


def _words(command: str | list[Any]) -> list[str]:
    return utils.split_command(command) if isinstance(command, str) else [str(word) for word in command]


def _texts(mapping: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in mapping.items()}


def _strings(values: list[Any]) -> list[str]:
    return [str(value) for value in values]


def _bytes(size: Any) -> int:
    return int(utils.parse_bytes(str(size)))


def _swap(size: Any) -> int:
    return -1 if str(size) in ("-1", "unlimited") else _bytes(size)


def _ulimit(text: str) -> Ulimit:
    """`nofile:1024:2048`, as community.docker's; `nofile=1024:2048`, as `docker run`'s."""
    name, soft, *hard = text.replace("=", ":").split(":")
    return Ulimit(name=name, soft=int(soft), hard=int((hard or [soft])[0]))


def _hosts(names: Mapping[str, str]) -> list[str]:
    return [f"{name}:{address}" for name, address in sorted(names.items())]


def _health(check: Mapping[str, Any]) -> Body:
    _only("healthcheck", check, HEALTHCHECK)
    test = check.get("test")
    found: Body = {field: nanoseconds(check[name]) for name, field in
                   (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"))
                   if check.get(name) is not None}  # fmt: skip
    if check.get("retries") is not None:
        found["Retries"] = int(check["retries"])
    if test is not None:
        found["Test"] = (
            ["NONE"] if test in ("NONE", ["NONE"]) else ["CMD-SHELL", test] if isinstance(test, str) else test
        )
    return found


def _mounts(mounts: Sequence[Mapping[str, Any]]) -> list[Mount]:
    for mount in mounts:
        _only("mounts", mount, MOUNT)
    return [Mount(**{"source": None, **mount}) for mount in mounts]


CONFIG: dict[str, tuple[str, Convert]] = {
    "command": ("Cmd", _words), "entrypoint": ("Entrypoint", _words), "env": ("Env", environment),
    "labels": ("Labels", _texts), "user": ("User", str), "working_dir": ("WorkingDir", str),
    "hostname": ("Hostname", str), "domainname": ("Domainname", str), "healthcheck": ("Healthcheck", _health),
    "stop_timeout": ("StopTimeout", int), "stop_signal": ("StopSignal", str), "tty": ("Tty", bool),
    "interactive": ("OpenStdin", bool),
}  # fmt: skip
HOST_CONFIG: dict[str, tuple[str, Convert]] = {
    "memory": ("Memory", _bytes), "memory_swap": ("MemorySwap", _swap), "shm_size": ("ShmSize", _bytes),
    "cpus": ("NanoCpus", lambda cpus: round(float(cpus) * 10**9)), "cpuset_cpus": ("CpusetCpus", str),
    "ulimits": ("Ulimits", lambda limits: [_ulimit(limit) for limit in limits]), "sysctls": ("Sysctls", _texts),
    "capabilities": ("CapAdd", list), "cap_drop": ("CapDrop", list), "security_opts": ("SecurityOpt", list),
    "privileged": ("Privileged", bool), "read_only": ("ReadonlyRootfs", bool), "init": ("Init", bool),
    "tmpfs": ("Tmpfs", convert_tmpfs_mounts), "ipc_mode": ("IpcMode", str), "pid_mode": ("PidMode", str),
    "network_mode": ("NetworkMode", str), "devices": ("Devices", utils.parse_devices), "runtime": ("Runtime", str),
    "dns_servers": ("Dns", list), "etc_hosts": ("ExtraHosts", _hosts), "groups": ("GroupAdd", _strings),
    "mounts": ("Mounts", _mounts),
    "device_requests": ("DeviceRequests", lambda requests: [DeviceRequest(**request) for request in requests]),
}  # fmt: skip


def _ports(given: Mapping[str, Any], body: Body, host: Body) -> None:
    exposed = [str(port) for port in given.get("exposed_ports", ())]
    if "published_ports" in given:
        ports = [str(port) for port in given["published_ports"]]
        bindings = _converted("published_ports", build_port_bindings, ports)
        host["PortBindings"] = utils.convert_port_bindings(bindings)
        exposed += list(bindings)
    if exposed or "exposed_ports" in given:
        body["ExposedPorts"] = {port if "/" in port else f"{port}/tcp": {} for port in exposed}


def _volumes(given: Mapping[str, Any], body: Body, host: Body) -> None:
    """`/path` alone is an anonymous volume; all else is a bind of a host's path or of a named volume."""
    if "volumes" in given:
        volumes = [str(volume) for volume in given["volumes"]]
        host["Binds"] = [volume for volume in volumes if ":" in volume]
        body["Volumes"] = {volume: {} for volume in volumes if ":" not in volume}


def _restart(given: Mapping[str, Any], host: Body) -> None:
    if "restart_policy" in given:
        retries = int(given.get("restart_retries") or 0)
        host["RestartPolicy"] = {"Name": given["restart_policy"], "MaximumRetryCount": retries}


def _log(given: Mapping[str, Any], host: Body) -> None:
    if "log_driver" in given or "log_options" in given:
        host["LogConfig"] = {"Type": given.get("log_driver", ""), "Config": _texts(given.get("log_options") or {})}


def _gpus(given: Mapping[str, Any], host: Body) -> None:
    """As `docker run --gpus`: all, a number, or the devices by number or UUID."""
    if "gpus" not in given:
        return
    gpus = given["gpus"]
    text = str(gpus).removeprefix("device=") if not isinstance(gpus, list) else ""
    if text == "all" or (text.isdigit() and not str(gpus).startswith("device=")):
        request = DeviceRequest(count=-1 if text == "all" else int(text), capabilities=[["gpu"]])
    else:
        chosen = gpus if isinstance(gpus, list) else text.split(",")
        request = DeviceRequest(device_ids=[str(device) for device in chosen], capabilities=[["gpu"]])
    host["DeviceRequests"] = [*host.get("DeviceRequests", ()), request]
