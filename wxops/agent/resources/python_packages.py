"""The packages of a Python environment: changed by pip, taken back by the files that they had."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.python_env.environment import Environment, files_of, of_virtualenv
from wxops.agent.resources import Kind
from wxops.agent.resources import file as files

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.python_env.environment import Packages
    from wxops.agent.resources import State


class PythonPackagesKind(Kind):
    """The name is a virtual environment's directory, or the host's interpreter.

    States: exists, packages (name -> version). A wanted state names only packages that change, with None for one that
    goes, and `run`, which brings it about; `environment` is where.
    """

    def read(self, name: str, view: View) -> State:
        environment = _environment(name)
        if environment is None:
            return {"exists": False, "packages": {}}
        return {"exists": True, "packages": _versions(environment.packages())}

    def same(self, now: State, wanted: State) -> bool:
        if "run" in wanted or now["exists"] != wanted["exists"]:
            return False
        return all(now["packages"].get(name) == version for name, version in wanted["packages"].items())

    def merged(self, before: State, wanted: State) -> State:
        return dict(wanted, exists=True, touched=sorted(wanted["packages"]))

    def predict(self, before: State, after: State) -> State:
        known = {**before["packages"], **after["packages"]}
        return {"exists": True, "packages": {name: version for name, version in known.items() if version is not None}}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """Those packages' files, linked into the journal: pip never writes into a file, it makes new ones."""
        if not before["exists"]:
            return {"exists": False, "packages": {}}
        environment: Environment = after["environment"]
        os.makedirs(journal.directory, mode=0o700, exist_ok=True)
        kept: Dict[str, State] = {}
        without = []
        for package, entry in environment.packages().items():
            if package in after["touched"]:
                listed = files_of(entry["path"])
                if listed is None:
                    without.append("%s %s" % (package, entry["version"]))
                for path in listed or []:
                    _keep(path, kept, journal)
        folders = {folder: sorted(os.listdir(folder)) for folder in environment.folders()}
        record = "pip-" + os.urandom(8).hex()
        after.update(record=journal.path(record), before=set(kept))
        versions = {package: before["packages"].get(package) for package in after["touched"]}
        return {"exists": True, "packages": versions, "files": kept, "folders": folders, "without": without,
                "record": record}  # fmt: skip

    def write(self, name: str, state: State) -> None:
        if "run" not in state:
            raise ModuleFailure("packages of %s are set back by their files alone" % name)
        try:
            state["run"]()
        finally:
            if "record" in state:
                _write_record(state)

    def load(self, saved: State, journal: Journal) -> State:
        return {"exists": saved["exists"], "packages": saved["packages"]}

    def fingerprint(self, state: State) -> Dict[str, Any]:
        """Of what a task touched; a new environment is told by its being there."""
        names: List[str] = state.get("touched", list(state["packages"]))
        return {name: state["packages"].get(name) for name in names}

    def irreversible(self, saved: State) -> Optional[str]:
        names = saved.get("without")
        return "nothing says which files these had: %s" % ", ".join(names) if names else None

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        """By its files; what is shown is the packages."""
        told = len(change.diffs)
        if not saved["exists"]:
            change.set("file", change.place(name), {"type": "absent"})
            return
        for folder, known in saved["folders"].items():
            new = set(os.listdir(folder) if os.path.isdir(folder) else []) - set(known)
            for path in (os.path.join(folder, entry) for entry in _came(new, journal.path(saved["record"]), folder)):
                change.set("file", path, files.ABSENT)
        for path in _recorded(journal.path(saved["record"])):
            if path not in saved["files"] and os.path.lexists(path) and not os.path.isdir(path):
                change.set("file", path, files.ABSENT)
        for path in sorted(saved["files"]):
            change.set("file", path, files.KIND.load(saved["files"][path], journal))
        del change.diffs[told:]
        change.diffs.append({"before_header": name, "after_header": name, "before": "",
                             "after": _lines(saved["packages"])})  # fmt: skip

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        old = {package: before["packages"].get(package) for package in after["touched"]}
        new = {package: after["packages"].get(package) for package in after["touched"]}
        made = "" if before["exists"] else "virtual environment\n"
        return {"before_header": name, "after_header": name, "before": _lines(old), "after": made + _lines(new)}


KIND = PythonPackagesKind()


def _environment(name: str) -> Optional[Environment]:
    if os.path.isfile(name):
        return Environment(name, None)
    return of_virtualenv(name) if os.path.exists(os.path.join(name, "bin", "activate")) else None


def _versions(packages: Packages) -> Dict[str, str]:
    return {name: entry["version"] for name, entry in packages.items()}


def _lines(packages: Dict[str, Optional[str]]) -> str:
    return "".join("%s %s\n" % pair for pair in sorted(packages.items()) if pair[1] is not None)


def _keep(path: str, kept: Dict[str, State], journal: Journal) -> None:
    """A file and the folders above it that a removal may take along."""
    state = files.KIND.read(path, None)  # type: ignore[arg-type]  # reading a file asks no other state
    if state["type"] == "absent":
        return
    kept[path] = {key: value for key, value in state.items() if key != "content"}
    if state["type"] == "file":
        name = "blob-" + os.urandom(12).hex()
        try:
            os.link(path, journal.path(name))
        except OSError:  # another file system
            shutil.copyfile(path, journal.path(name))
        kept[path]["blob"] = name
    above = os.path.dirname(path)
    if above not in kept:
        _keep(above, kept, journal)


def _write_record(state: State) -> None:
    """The files of packages that came or changed, for a rollback to take away."""
    environment: Environment = state["environment"]
    new = {path for name, entry in environment.packages().items() if name in state["touched"]
           for path in files_of(entry["path"]) or []}  # fmt: skip
    with open(state["record"], "w", encoding="utf-8") as file:
        json.dump(sorted(new), file)
        file.flush()
        os.fsync(file.fileno())


def _recorded(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8") as file:
            found: List[str] = json.load(file)
            return found
    except FileNotFoundError:
        return []


def _came(new: Set[str], record: str, folder: str) -> Set[str]:
    """Which new names in a folder are the step's: those of its files. One that was cut short could not say: all."""
    if not os.path.exists(record):
        return new
    inside = (path[len(folder) + 1 :] for path in _recorded(record) if path.startswith(folder + "/"))
    return new & {path.partition("/")[0] for path in inside}
