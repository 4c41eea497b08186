"""The controller's record of a run: who ran what, with which revision of the playbooks, and what changed where."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wxops
from wxops.agent.lock import WITHIN
from wxops.engine.events import Event, Output, Recap, as_json
from wxops.errors import InputError

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def new_run_id() -> str:
    """Sorts by time, to the 65536th of a second: 20261122-181500-3f9c."""
    seconds, fraction = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(seconds)) + f"{(fraction << 16) // 10**9:04x}"


def runs_directory(project: Path | None) -> Path:
    """Where records are kept: .wxops/runs of the project, else the user's state directory."""
    if project is not None:
        return project / ".wxops" / "runs"
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "wxops" / "runs"


def describe(run: str, playbooks: Sequence[Path], **more: Any) -> dict[str, Any]:
    """Who runs what, for the record here and the journals on the hosts.

    `within`, if there: the runs whose commands this one was started by, the outermost first.
    """
    within = [word for word in os.environ.get(WITHIN, "").split(":") if RUN_ID.fullmatch(word)]
    return {
        "run": run, "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "user": getpass.getuser(),
        "controller": socket.gethostname(), "wxops": wxops.__version__,
        "playbooks": [str(path) for path in playbooks],
        "revision": revision(playbooks[0].parent) if playbooks else None,
        **({"within": within} if within else {}), **more,
    }  # fmt: skip


def revision(directory: Path) -> str | None:
    """The git revision of the playbooks, with `-dirty` when something is not committed; None outside git."""
    command = ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


class RunRecord:
    """RUNS/RUN/: run.json (what was asked and how it ended), events.jsonl, and while it runs agents.jsonl."""

    def __init__(self, directory: Path, about: Mapping[str, Any]) -> None:
        """Begin a record: it is on disk before the first host is touched."""
        self.about = dict(about)
        self.directory = directory / self.about["run"]
        try:
            self.directory.mkdir(mode=0o700, parents=True)
            directory.chmod(0o700)
            self._write()
            self._agents = (self.directory / "agents.jsonl").open("w", buffering=1, encoding="utf-8")
            self._events = (self.directory / "events.jsonl").open(
                "w",
                buffering=1,
                encoding="utf-8",
                errors="backslashreplace",  # a name that is no UTF-8: JSON all the same
            )
        except OSError as error:
            raise InputError(
                f"the run record cannot be written: {error.strerror}",
                where=str(error.filename or self.directory),
                fix="make room there, or set XDG_STATE_HOME to a directory that can be written",
            ) from None

    def take(self, event: Event) -> None:
        if not isinstance(event, Output):
            self._events.write(json.dumps(as_json(event), default=str, ensure_ascii=False) + "\n")
        if isinstance(event, Recap):
            self.about["hosts"] = {host: dict(counts) for host, counts in event.hosts.items()}

    def finish(self, exit_code: int, agents: Mapping[str, Any], traffic: Mapping[str, int]) -> None:
        self.about.update(ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), exit_code=exit_code,
                          agents=dict(agents), traffic=dict(traffic))  # fmt: skip
        self._write()
        self._events.close()
        self._agents.close()
        (self.directory / "agents.jsonl").unlink(missing_ok=True)

    def agent_used(self, host: str, who: Mapping[str, Any]) -> None:
        """Note who acts on which host while the run goes on: a killed controller must be able to take it back."""
        self._agents.write(json.dumps([host, who]) + "\n")

    def _write(self) -> None:
        path = self.directory / "run.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(self.about, indent=1, default=str, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)


@dataclass(frozen=True)
class PastRun:
    """A run that was recorded."""

    directory: Path
    about: Mapping[str, Any]

    @property
    def run(self) -> str:
        return str(self.about["run"])

    @property
    def changed(self) -> int:
        return sum(counts.get("changed", 0) for counts in self.about.get("hosts", {}).values())

    @property
    def may_have_changed(self) -> bool:
        """Did it change something, or end in a way that leaves it open?"""
        broken_off = "ended" not in self.about or (self.about.get("exit_code") == 1 and bool(self.about.get("agents")))
        return bool(self.changed) or broken_off

    @property
    def is_recorded(self) -> bool:
        """Is it a run of this controller? Of another's only the hosts know, by their journals."""
        return "started" in self.about

    def mark(self, **about: Any) -> None:
        """Note something about this run later on, such as that it was taken back."""
        if not self.is_recorded:
            return
        path = self.directory / "run.json"
        text = json.dumps({**self.about, **about}, indent=1, ensure_ascii=False)
        path.with_suffix(".new").write_text(text, encoding="utf-8")
        path.with_suffix(".new").replace(path)

    def events(self) -> Iterator[dict[str, Any]]:
        """What was told, line by line; a line cut short by a crash is left out."""
        try:
            with (self.directory / "events.jsonl").open(encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        yield json.loads(line)
        except FileNotFoundError:
            return


def past_runs(directory: Path) -> list[PastRun]:
    """All recorded runs, oldest first."""
    found = []
    for path in sorted(directory.glob("*/run.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # a controller that died while its disk was full
        if "ended" not in about:
            about["agents"] = _agents_so_far(path.with_name("agents.jsonl"))
        found.append(PastRun(path.parent, about))
    return found


def _agents_so_far(path: Path) -> dict[str, list[Any]]:
    """Who acted where in a run whose controller died, or that still goes on."""
    found: dict[str, list[Any]] = {}
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        for host, who in (json.loads(line) for line in file if line.endswith("\n")):
            found.setdefault(host, []).append(who)
    return found


def past_run(directory: Path, run: str | None, elsewhere: bool = False) -> PastRun:
    """A run by its id or the start of it; None is the last one that may have changed something and was not a check.

    elsewhere: a whole id of which nothing is recorded here may be another controller's.
    """
    runs = past_runs(directory)
    if run is None:
        real = [past for past in runs if not past.about.get("check") and past.about.get("taken_back_by") is None
                and past.about.get("kind") != "rollback" and past.may_have_changed]  # fmt: skip
        if not real:
            raise InputError(f"no run to take back is recorded in {directory}")
        return real[-1]
    matching = [past for past in runs if past.run.startswith(run)]
    if not matching and elsewhere and RUN_ID.fullmatch(run):
        return PastRun(directory / run, {"run": run})
    if len(matching) != 1:
        known = ", ".join(past.run for past in runs[-5:]) or "none"
        what = f"{len(matching)} runs begin with {run!r}" if matching else f"there is no run {run!r}"
        raise InputError(f"{what} in {directory}", fix=f"the last ones: {known}")
    return matching[0]
