"""Real gateways and engines of fixed speed, as processes of their own, for the tests to start, freeze and kill."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

RUNTIME = Path(__file__).parents[2]
START_SECONDS = 60.0  # a busy machine takes long
EVERYTHING = ["inference", "probes", "metrics"]
LOCAL = {"name": "local", "networks": ["127.0.0.1/32"], "allow": EVERYTHING}


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, verify=False, timeout=30)  # reading the authorities takes 30 ms each time


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """What `true` returns, once that is something."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.05)
    return value


class Engine:
    """bench/mock.py: an engine that takes as long as it is told."""

    def __init__(self, port: int = 0, replica: dict[str, Any] | None = None, **options: Any) -> None:
        self.options, self.replica = options, replica or {}
        self.port = port
        self.start()

    def start(self) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in self.options.items()]
        command = [sys.executable, str(RUNTIME / "bench/mock.py"), f"--port={self.port}", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[-1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self) -> dict[str, Any]:
        return get(f"{self.url}/seen").json()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Gateway:
    """`wxruntime gateway` with a configuration."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.file = directory / "gateway.yaml"
        self._log = directory / "log"
        self.write(settings)
        command = [str(Path(sys.executable).with_name("wxruntime")), "gateway", "--config", str(self.file)]
        with self._log.open("wb") as stderr:
            self.process = subprocess.Popen(command, stderr=stderr)
        listening = [
            event["address"]
            for event in until(self._listening, "the gateway listens", START_SECONDS)
            if event["event"] == "listening"
        ]
        self.url = listening[0]
        self.probes = listening[-1]
        self.port = int(self.url.rpartition(":")[2])

    def _listening(self) -> list[dict[str, Any]]:
        assert self.process.poll() is None, self._log.read_text()
        wanted = 2 if self.settings.get("listen", {}).get("probes") else 1
        events = self.events()
        return events if sum(event["event"] == "listening" for event in events) == wanted else []

    def write(self, settings: dict[str, Any]) -> None:
        self.settings = {"listen": {"port": 0}, "clients": [LOCAL], **settings}
        self.file.write_text(yaml.safe_dump(self.settings))

    def reload(self, settings: dict[str, Any]) -> None:
        """Change the file and wait until that has been seen."""
        before = self.reloads()
        self.write(settings)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.reloads() > before, "the gateway has read its file again")

    def reloads(self) -> int:
        return sum("reload" in event["event"] for event in self.events())

    def events(self) -> list[dict[str, Any]]:
        """What it has logged."""
        text = self._log.read_text()
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [json.loads(line) if line.startswith("{") else {"event": line} for line in lines]

    def log(self) -> str:
        return self._log.read_text()

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, verify=False, timeout=60, **options)

    def chat(self, **fields: Any) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/chat/completions", json=chat(**fields))

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics, 0 where there is none."""
        text = get(f"{self.probes}/metrics").text
        total = 0.0
        for line in text.splitlines():
            if match := re.match(rf"{re.escape(name)}(?:{{(.*)}})? (\S+)$", line):
                told = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
                if all(told.get(key) == value for key, value in labels.items()):
                    total += float(match[2])
        return total

    def ready(self) -> bool:
        return get(f"{self.probes}/ready").status_code == 200

    def admin(self, method: str, path: str = "/admin/replicas", **body: Any) -> httpx.Response:
        """Ask the admin socket; `listen.admin.socket` of the settings names it."""
        socket = self.settings["listen"]["admin"]["socket"]
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://admin", timeout=30) as client:
            return client.request(method, path, json=body or None)

    def replicas(self) -> dict[str, str]:
        """The state of each replica of all models, by URL, as operators see it."""
        told = self.admin("GET").json()["models"]
        return {each["url"]: each["state"] for model in told for each in model["replicas"]}

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def model(*engines: Engine, emergency: list[Engine] | None = None, **fields: Any) -> dict[str, Any]:
    replicas = [{"url": engine.url, **engine.replica} for engine in engines]
    made: dict[str, Any] = {"name": "m", "replicas": replicas, **fields}
    if emergency:
        made["emergency"] = [{"url": engine.url, "served_name": "small"} for engine in emergency]
    return made


def chat(question: str = "who?", **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": question}], **fields}


def events(body: str | bytes) -> list[Any]:
    """The data of a stream's events; [DONE] as that."""
    text = body.decode() if isinstance(body, bytes) else body
    data = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def said(body: str | bytes) -> str:
    """The text of a streamed chat."""
    chunks = [each for each in events(body) if each != "[DONE]" and each.get("choices")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks)
