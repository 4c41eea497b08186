"""A role on a fresh host under each engine: run, run again, and for wxops checked before and taken back after."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from conformance.compare import Comparison, compare
from conformance.roles.public import PublicRole
from conformance.trees import Tree, differences, tree
from wxops.lab import Lab
from wxops.lab.host import Host

REPOSITORY = Path(__file__).parent.parent.parent
BIN = REPOSITORY / ".venv" / "bin"
LIMIT_S = 1200
PREPARE = (
    "echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/lab; apt-get --quiet update; apt-get --quiet --yes install python3-apt"
)
"""What every fresh host runs first: ansible-core's apt needs this package, and installs it where it is missing."""
Told = list[dict[str, Any]]


@dataclass(frozen=True)
class Ran:
    """One call of an engine: its exit code, seconds, the tasks' results, what was printed, and wxops' run id."""

    code: int
    seconds: float
    told: Told
    output: str
    run: str = ""

    @property
    def changed(self) -> int:
        return sum(said["status"] == "changed" for said in self.told)


@dataclass(frozen=True)
class Account:
    """What an engine did to a host. after: the host's tree. check, back, left: of wxops alone.

    second: of ansible-core only where wxops' second run changed something: does the role do that under both?
    touched: what the check changed on the host. left: what is not as before when all was taken back.
    """

    first: Ran
    second: Ran | None
    after: Tree
    check: Ran | None = None
    touched: Sequence[str] = ()
    back: Sequence[Ran] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True)
class Trial:
    """A role under both engines."""

    role: PublicRole
    theirs: Account
    ours: Account

    @property
    def comparison(self) -> Comparison:
        return compare(self.theirs.first.told, self.ours.first.told)

    @property
    def host(self) -> list[str]:
        """What the two engines left differently on the host."""
        return differences(_of_the_role(self.theirs.after), _of_the_role(self.ours.after))

    @property
    def foretold(self) -> Comparison:
        """The check held against the run that followed it."""
        check = self.ours.check
        return compare(self.ours.first.told, check.told if check else [])


@dataclass(frozen=True)
class Site:
    """A folder with the play of a role, for one host of the lab. home: the cache with roles and collections."""

    lab: Lab
    host: Host
    role: PublicRole
    folder: Path
    home: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def trial(self) -> Trial:
        ours = self._fresh()._with_wxops()
        again = bool(ours.second and ours.second.changed)
        return Trial(self.role, self._fresh()._with_ansible(again), ours)

    def _fresh(self) -> Site:
        host = self.lab.reset(self.host.name)
        host.ssh("; ".join(filter(None, (PREPARE, self.role.prepare))))
        self.folder.mkdir(parents=True, exist_ok=True)
        play = {"hosts": host.name, "become": True, "vars": dict(self.role.vars), "roles": [self.role.name]}
        (self.folder / "play.yml").write_text(json.dumps([play], indent=1) + "\n")
        inventory = yaml.safe_load(self.lab.inventory.read_text())
        inventory["all"]["vars"]["ansible_user"] = "deploy"  # roles that harden a host shut root out
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        return self

    def _with_ansible(self, again: bool) -> Account:
        began = time.time()
        first = self._ansible("1")
        return Account(first, self._ansible("2") if again else None, self._tree(began))

    def _with_wxops(self) -> Account:
        before, began = self._tree(), time.time()
        check = self._wxops("run", "play.yml", "--check")
        touched = differences(before, self._tree())
        first, second = self._wxops("run", "play.yml"), self._wxops("run", "play.yml")
        after = self._tree(began)
        back = [
            self._wxops("rollback", ran.run) for ran in (second, first) if ran.run and (ran.changed or ran is first)
        ]
        return Account(first, second, after, check, touched, back, differences(before, self._tree()))

    def _tree(self, began: float | None = None) -> Tree:
        return tree(self.host.root, list(self.role.ignore), began)

    # -- the engines --------------------------------------------------------------------------------------------------

    def _ansible(self, which: str) -> Ran:
        told = self.folder / f"told.{which}.jsonl"
        own = {
            "ANSIBLE_CALLBACK_PLUGINS": str(REPOSITORY / "conformance" / "callback"), "TOLD": str(told),
            "ANSIBLE_CALLBACKS_ENABLED": "told", "ANSIBLE_PIPELINING": "true", "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_HOME": str(self.folder / "ansible"),
        }  # fmt: skip
        argv = [
            str(BIN.parent / "ansible-core" / "bin" / "ansible-playbook"),
            "-i",
            "inventory.yml",
            "play.yml",
        ]
        return replace(self._ran(argv, own), told=_tasks(told))

    def _wxops(self, command: str, *words: str) -> Ran:
        records = self.folder / "wxops" / "runs"
        known = set(records.glob("*"))
        ran = self._ran(
            [str(BIN / "wxops"), command, "-i", "inventory.yml", *words], {"XDG_STATE_HOME": str(self.folder)}
        )
        new = sorted(set(records.glob("*")) - known)
        return replace(ran, run=new[-1].name, told=_tasks(new[-1] / "events.jsonl")) if new else ran

    def _ran(self, argv: Sequence[str], own: Mapping[str, str]) -> Ran:
        environment = {
            **self.environment, **own, "ANSIBLE_ROLES_PATH": str(self.home / "roles"), "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
        }  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(
            ["timeout", str(LIMIT_S), *argv], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return Ran(done.returncode, time.monotonic() - began, [], done.stdout)


def _of_the_role(after: Tree) -> Tree:
    """Less what Python keeps of modules that it loaded, and where ansible-core puts its own."""
    return {path: entry for path, entry in after.items() if "/__pycache__" not in path and "/.ansible" not in path}


def _tasks(path: Path) -> Told:
    """The results of tasks in a file of JSON lines, each with the real path of the file that the task stands in."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    said = [each for each in map(json.loads, lines) if each.get("event", "task") == "task"]
    return [{**each, "where": _real(str(each["where"]))} for each in said]


def _real(where: str) -> str:
    path, _, rest = where.partition(":")
    return f"{os.path.realpath(path)}:{rest}"
