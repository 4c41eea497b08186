"""Containers, as `docker run` and community.docker's module describe them."""

from __future__ import annotations

from typing import Any, Literal

from wxops.actions import Call, Result
from wxops.docker.client import TunnelledClient
from wxops.docker.container import container_body, endpoints
from wxops.docker.health import Unhealthy, wait_until_healthy
from wxops.errors import InputError, TaskFailed

ALIASES = {"ports": "published_ports", "expose": "exposed_ports", "exposed": "exposed_ports",
           "wait_timeout": "healthy_wait_timeout", "volume": "volumes"}  # fmt: skip


def docker_container(
    call: Call,
    name: str,
    image: str | None = None,
    state: Literal["present", "started", "stopped", "absent", "healthy"] = "started",
    recreate: bool = False,
    restart: bool = False,
    pull: Literal["missing", "always", "never"] = "missing",
    command: Any = None,
    entrypoint: list[str] | None = None,
    env: dict[str, Any] | None = None,
    env_file: str | None = None,
    published_ports: list[str] | None = None,
    exposed_ports: list[str] | None = None,
    volumes: list[str] | None = None,
    mounts: list[dict[str, Any]] | None = None,
    tmpfs: list[str] | None = None,
    networks: list[dict[str, Any]] | None = None,
    network_mode: str | None = None,
    purge_networks: bool = False,
    dns_servers: list[str] | None = None,
    etc_hosts: dict[str, Any] | None = None,
    hostname: str | None = None,
    domainname: str | None = None,
    labels: dict[str, Any] | None = None,
    user: str | None = None,
    groups: list[str] | None = None,
    working_dir: str | None = None,
    restart_policy: Literal["no", "on-failure", "always", "unless-stopped"] | None = None,
    restart_retries: int | None = None,
    gpus: Any = None,
    device_requests: list[dict[str, Any]] | None = None,
    devices: list[str] | None = None,
    runtime: str | None = None,
    memory: str | None = None,
    memory_swap: str | None = None,
    shm_size: str | None = None,
    cpus: float | None = None,
    cpuset_cpus: str | None = None,
    ulimits: list[str] | None = None,
    sysctls: dict[str, Any] | None = None,
    capabilities: list[str] | None = None,
    cap_drop: list[str] | None = None,
    security_opts: list[str] | None = None,
    privileged: bool | None = None,
    read_only: bool | None = None,
    ipc_mode: str | None = None,
    pid_mode: str | None = None,
    init: bool | None = None,
    log_driver: str | None = None,
    log_options: dict[str, Any] | None = None,
    healthcheck: dict[str, Any] | None = None,
    healthy_wait_timeout: float = 300,
    stop_timeout: int | None = None,
    stop_signal: str | None = None,
    interactive: bool | None = None,
    tty: bool | None = None,
    registry_username: str | None = None,
    registry_password: str | None = None,
) -> Result:
    """Run a container, or stop or remove it.

    What is there is compared with what is written here, and with nothing else: what is not written stays as it is.
    A container that differs is made anew, except for its restart policy, cpus, cpuset_cpus and networks, which change
    in place. The new one is made first; the old one is stopped and kept as NAME.wxops-RUN-..., so that a rollback
    brings back the very container, and so that it is back at once when the new one does not start. For each name, what
    the last three runs put aside is kept.

    name: the container's name.
    image: name:tag or name@sha256:digest.
    state: present makes it; started also runs it; stopped stops it; healthy runs it and waits for its health check;
        absent removes it.
    recreate: make it anew even if nothing differs.
    restart: restart it when nothing else was to be done.
    pull: when to pull the image: missing, always (when the registry has another one), never.
    command: what it runs: a list, or text with a shell's quotes.
    entrypoint: the program that runs the command.
    env: its environment; with the image's own this is all of it. Never shown.
    env_file: a file on the host with more of it, a NAME=value a line; `env` comes first.
    published_ports: "8080:80", "127.0.0.1:8080:80/udp", "80" (any free port of the host).
    exposed_ports: ports that only other containers reach.
    volumes: "/host/path:/path:ro", "name:/path", "/path" (an anonymous volume).
    mounts: each with target, source, type (bind, volume, tmpfs), read_only, propagation, no_copy, labels, tmpfs_size,
        tmpfs_mode.
    tmpfs: "/path:size=64m".
    networks: each with name, aliases, links, ipv4_address, ipv6_address; the networks must be there.
    network_mode: bridge, host, none, container:NAME or a network.
    purge_networks: leave networks that are not written here.
    dns_servers: addresses.
    etc_hosts: name -> address.
    hostname: its host name.
    domainname: its domain.
    labels: with the image's own these are all of them.
    user: name or uid, with :group.
    groups: more groups.
    working_dir: where the command runs.
    restart_policy: no, on-failure, always, unless-stopped.
    restart_retries: for on-failure: how often.
    gpus: as `docker run --gpus`: all, a number, or a list of devices by number or UUID.
    device_requests: each with driver, count, device_ids, capabilities, options.
    devices: "/dev/on/host:/dev/in/it:rwm".
    runtime: the OCI runtime.
    memory: at most, like 8g.
    memory_swap: memory and swap together, like 10g; -1 has no bound.
    shm_size: of /dev/shm, like 1g.
    cpus: at most so many, like 1.5.
    cpuset_cpus: which ones, like 0-3,8.
    ulimits: "nofile:65536:65536".
    sysctls: of its own namespaces.
    capabilities: to add.
    cap_drop: to drop.
    security_opts: like no-new-privileges.
    privileged: all rights on the host.
    read_only: its root file system.
    ipc_mode: host, private, shareable, container:NAME.
    pid_mode: host, container:NAME.
    init: an init process that forwards signals and reaps.
    log_driver: json-file, local, journald...
    log_options: of that driver.
    healthcheck: test (text for a shell, a list, or NONE), interval, timeout, retries, start_period (like 1m30s).
    healthy_wait_timeout: seconds that `state: healthy` waits.
    stop_timeout: seconds between asking it to stop and killing it.
    stop_signal: what asks it to stop.
    interactive: keep its standard input open.
    tty: give it a terminal.
    registry_username: for the pull; without it the host's own `docker login` counts.
    registry_password: for the pull.
    """
    asked = dict(locals())  # what operators wrote, under their names; nothing else has been named yet
    result = call.run("docker_container", {
        "name": name, "state": state, "image": image, "pull": pull, "recreate": recreate, "restart": restart,
        "config": container_body(asked), "networks": endpoints(networks), "purge_networks": purge_networks,
        "env_file": env_file, "login": _login(registry_username, registry_password)})  # fmt: skip
    if state == "healthy" and not call.check:
        _wait(call, name, healthy_wait_timeout, result)
    return result


def _login(username: str | None, password: str | None) -> dict[str, str] | None:
    if (username is None) != (password is None):
        raise InputError("registry_username and registry_password go together")
    return {"username": username, "password": password} if username and password else None


def _wait(call: Call, name: str, timeout: float, result: Result) -> None:
    client = TunnelledClient(call.socket, result["api_version"])
    try:
        state = wait_until_healthy(client, result["container"]["Id"], timeout, call.sleep)["State"]
    except Unhealthy as unhealthy:
        raise TaskFailed(f"container {name} is not healthy: {unhealthy}", result) from None
    finally:
        client.close()
    result["container"]["State"] = state
