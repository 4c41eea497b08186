"""What tests of Docker need on a host: small images in the lab's registry, and the state of the engine as data."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.module_case import ManagedHost, Played
from wxops.lab.host import Host

# A web server of 2 MB. Its generations differ in what they serve.
BUILD = """
set -e
mkdir -p /root/image && cd /root/image
if ! test -x busybox; then
    apt-get download --quiet=2 busybox-static
    dpkg -x busybox-static_*.deb unpacked
    cp unpacked/bin/busybox .
    rm -r unpacked busybox-static_*.deb
fi
cat >Dockerfile <<'END'
FROM scratch
ARG GENERATION
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /www && echo "generation $GENERATION" >/www/index.html
ENV PATH=/bin FROM_IMAGE=1
LABEL maker=lab
EXPOSE 8000
STOPSIGNAL SIGKILL
CMD ["httpd", "-f", "-p", "8000", "-h", "/www"]
END
for generation in 1 2; do
    docker build --quiet --build-arg GENERATION=$generation --tag REGISTRY/web:$generation .
    docker push --quiet REGISTRY/web:$generation
done
docker tag REGISTRY/web:1 REGISTRY/web:moving
docker push --quiet REGISTRY/web:moving
"""
CLEAN = """
docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes
docker network prune --force
docker images --all --quiet | xargs --no-run-if-empty docker rmi --force
"""


def make_images(host: Host, registry: str) -> None:
    """Build REGISTRY/web:1 and :2 on a host and push them, and :moving, which is 1 so far."""
    host.ssh(BUILD.replace("REGISTRY", registry))


def clean(host: Host) -> None:
    """Leave the engine with nothing."""
    host.ssh(CLEAN, check=False)


def inspect(host: Host, container: str) -> dict[str, Any]:
    """A container as the engine shows it; {} when there is none."""
    shown = host.ssh(f"docker container inspect {container}", check=False)
    found: list[dict[str, Any]] = json.loads(shown.stdout or "[]")
    return found[0] if found else {}


def lasting(host: Host, container: str) -> dict[str, Any]:
    """All of a container but what passes: its process, its times, its addresses."""
    found = inspect(host, container)
    state = found.get("State", {})
    return {
        **{key: found.get(key) for key in ("Id", "Name", "Created", "Image", "Config", "HostConfig", "Mounts")},
        "Running": state.get("Running"),
        "Networks": sorted(found.get("NetworkSettings", {}).get("Networks", {})),
        "Written": host.ssh(f"docker diff {container}", check=False).stdout,
    }


def names(host: Host, what: str = "container") -> list[str]:
    """Containers (running or not), images or networks by name, without those that wxops keeps."""
    line = {
        "container": "docker ps --all --format '{{.Names}}'",
        "image": "docker images --format '{{.Repository}}:{{.Tag}}'",
        "network": "docker network ls --format '{{.Name}}'",
    }[what]
    return sorted(name for name in host.ssh(line).stdout.split() if "wxops-" not in name)


def web(registry: str, **more: Any) -> list[dict[str, Any]]:
    """A task that runs the small web server."""
    return [{"docker_container": {"name": "web", "image": f"{registry}/web:1", "published_ports": ["8080:8000"],
                                  "restart_policy": "unless-stopped", **more}}]  # fmt: skip


def page(host: Host, port: int = 8080) -> str:
    line = f"curl --silent --max-time 5 --retry 5 --retry-connrefused --retry-delay 1 http://127.0.0.1:{port}/"
    return host.ssh(line, check=False).stdout.strip()


def play(docker: ManagedHost, tasks: Any, **options: Any) -> Played:
    played = docker.play(tasks, **options)
    assert played.exit_code == 0, played.told()
    return played
