"""The two engines, loaded and waiting: a playbook given to one is run inside a host, and what it told is read back."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.fuzz.hosts import ANSIBLE, NAME, REPOSITORY, FreshHost, Hosts

BYTECODE = Path(__file__).parent / "bytecode"
STANDBY = Path(__file__).parent / "standby.py"
FOLDER = "/root/play"  # in the host: the playbook, with the files that it names
TOLD = "/root/told"  # in the host: what the engine told of every task
LIMIT_S = 180
ENGINES = ("ansible", "wxops")
# localhost, too: the Python of an engine, which a play finds there by itself, lies where only root comes.
INVENTORY = "".join(
    f"{name} ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n" for name in (NAME, "localhost")
)


@dataclass(frozen=True)
class Ran:
    """A playbook's end: the exit code (None: it had to be stopped), its tasks' results, its recap, what it printed."""

    code: int | None
    told: list[dict[str, Any]]
    recap: Mapping[str, Any]
    output: str


class Engine:
    """One engine, waiting in a process of its own. Not for several threads at once."""

    def __init__(self, name: str, hosts: Hosts) -> None:
        self.name = name
        self._output = hosts.folder / f"output-{name}-{id(self)}"
        temporary = hosts.shared / f"{name}-{id(self)}"
        temporary.mkdir()
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8", "TOLD": f"{TOLD}.jsonl", "XDG_STATE_HOME": TOLD, "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1", "ANSIBLE_LOCAL_TEMP": str(temporary), "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(REPOSITORY / "conformance" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "told", "PYTHONPATH": str(BYTECODE), "KEPT_CODE": str(hosts.kept_code),
            "ANSIBLE_DEPRECATION_WARNINGS": "0", "ANSIBLE_NOCOLOR": "1",
        }  # fmt: skip
        if name == "wxops":
            environment["PYTHONPATH"] = str(REPOSITORY)
        python = str(ANSIBLE) if name == "ansible" else sys.executable
        self._process = subprocess.Popen(
            [python, str(STANDBY), name], env=environment, cwd="/", text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, host: FreshHost, words: list[str]) -> Ran:
        """Run what the words of a command line say, in FOLDER of the host."""
        told = host.root / TOLD.lstrip("/")
        before = set(_told(told))
        request = {"root": str(host.root), "folder": FOLDER, "words": ["-i", "inventory", *words],
                   "output": str(self._output), "seconds": LIMIT_S}  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())
        lines = [json.loads(line) for path in _told(told) if path not in before for line in path.open()]
        for path in _told(told):
            if path.name == f"{told.name}.jsonl":
                path.rename(told.with_name(f"{told.name}-{len(before)}.jsonl"))
        recap: dict[str, Any] = next((line["hosts"] for line in lines if line.get("event") == "recap"), {})
        tasks = [line for line in lines if line.get("event", "task") == "task"]
        return Ran(code, tasks, recap, self._output.read_text(errors="replace"))

    def close(self) -> None:
        self._process.communicate()


def _told(place: Path) -> list[Path]:
    """The files in which an engine told its results: ansible-core's by our callback, wxops' in its run records."""
    return [*sorted(place.parent.glob(f"{place.name}*.jsonl")), *sorted(place.glob("wxops/runs/*/events.jsonl"))]


@contextlib.contextmanager
def both(hosts: Hosts) -> Iterator[dict[str, Engine]]:
    """ansible-core and wxops, loaded."""
    engines = {name: Engine(name, hosts) for name in ENGINES}
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.close()
