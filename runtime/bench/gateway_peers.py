"""What bench/gateway.py holds the gateway against: LiteLLM, vllm-router, and nginx as the floor, one worker each.

The first two are what scripts/bench-peers.sh installed into DIRECTORY/litellm and DIRECTORY/vllm-router; nginx is
Debian's nginx-light, run here as a plain process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stand import free_port, process


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy in front of `engine`, listening on `port`."""

    name: str
    command: list[str]
    port: int
    scheme: str = "http"
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[tuple[int, int]]:
        environment = os.environ | self.environment
        with process(self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
            yield started.pid, self.port


def litellm(home: Path, folder: Path, engine: str, key: str) -> Peer:
    """With its key check on, as ours is, and without its log of calls."""
    model = {"model": "openai/mock", "api_base": f"{engine}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "mock", "litellm_params": model}],
        "general_settings": {"master_key": key},
        "litellm_settings": {"request_timeout": 600},
    }
    path, port = folder / "litellm.json", free_port()  # JSON is YAML
    path.write_text(json.dumps(settings))
    command = [str(home / "litellm/bin/litellm"), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    return Peer("LiteLLM proxy", [*command, "--num_workers", "1"], port, environment=environment)


def vllm_router(home: Path, engine: str) -> Peer:
    """It has neither TLS nor a list of clients."""
    port = free_port()
    command = [str(home / "vllm-router/bin/vllm-router"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", engine, "--policy", "round_robin", "--log-level", "error"]
    command += ["--prometheus-port", str(free_port()), "--max-concurrent-requests", "4096"]
    return Peer("vllm-router", command, port)


def nginx(folder: Path, engine: str, tls: dict[str, str] | None) -> Peer:
    """One process that passes on what comes: no key is looked at, nothing is counted."""
    port = free_port()
    secure = ""
    if tls:
        secure = f"ssl_protocols TLSv1.3; ssl_certificate {tls['certificate']}; ssl_certificate_key {tls['key']};"
    path = folder / f"nginx-{port}.conf"
    path.write_text(
        f"""daemon off; master_process off; pid {folder}/nginx-{port}.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}/body-{port}; proxy_temp_path {folder}/proxy-{port};
    fastcgi_temp_path {folder}/f-{port}; uwsgi_temp_path {folder}/u-{port}; scgi_temp_path {folder}/s-{port};
    keepalive_requests 10000000;
    upstream engine {{ server {engine.removeprefix("http://")}; keepalive 128; keepalive_requests 10000000; }}
    server {{
        listen 127.0.0.1:{port} {"ssl" if tls else ""}; {secure}
        location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""
    )
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SystemExit("no nginx: apt-get install nginx-light, or leave out --peers")
    name = f"nginx{', TLS 1.3' if tls else ''}"
    return Peer(name, [program, "-c", str(path)], port, "https" if tls else "http")
