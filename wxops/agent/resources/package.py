"""The packages of the host: changed by one transaction of the package manager, set back to exactly what there was."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from wxops.agent.debian import archives, dpkg, footprint
from wxops.agent.debian.restore import restore, settle
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    from wxops.agent.change import View
    from wxops.agent.debian.dpkg import Entry
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State


class PackageKind(Kind):
    """The name is that of the database: `dpkg`. States: {"packages": name -> entry (see debian/dpkg.py)}.

    A wanted state names only what is to change, with None for a package that is to go. With "transaction" (debian/
    apt_get.py) that brings it about; without, the packages are set to exactly these versions and marks.
    """

    def read(self, name: str, view: View) -> State:
        return {"packages": dpkg.packages()}

    def same(self, now: State, wanted: State) -> bool:
        if any(now["packages"].get(name) != entry for name, entry in wanted["packages"].items()):
            return False
        return "before" not in wanted or footprint.is_back(wanted["before"], wanted["before"]["record"])

    def merged(self, before: State, wanted: State) -> State:
        packages = {**before["packages"], **wanted["packages"]}
        touched = sorted(wanted["packages"])
        return dict(wanted, packages={n: e for n, e in packages.items() if e is not None}, touched=touched)

    def predict(self, before: State, after: State) -> State:
        return {"packages": after["packages"]}

    def write(self, name: str, state: State) -> None:
        try:
            if "transaction" in state:
                state["transaction"].run()
            elif "before" in state:
                self._take_back(state)
            else:
                restore({name: state["packages"].get(name) for name in state["touched"]}, state.get("debs", {}))
        finally:
            if "record" in state:
                footprint.write_record(state["record"], state["accounts"], state["configuration"])

    def _take_back(self, state: State) -> None:
        """Accounts first, so that files find their owners; services last, when all that they need is back."""
        before = state["before"]
        edited = footprint.edited_since(before["record"])
        footprint.put_accounts_back(before["accounts"])
        moved = restore({name: state["packages"].get(name) for name in state["touched"]}, state["debs"])
        footprint.put_configuration_back(before["configuration"], edited)
        footprint.remove_new_accounts(before["accounts"], before["record"])
        if moved:
            footprint.put_units_back(before["units"])

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """The entries; if more than marks change, of versions that go their .deb files, configuration and services,

        and all accounts.
        """
        entries = {name: before["packages"].get(name) for name in after["touched"]}
        builds = {name: (entry, after["packages"].get(name)) for name, entry in entries.items()}
        if not any(_moves(*pair) for pair in builds.values()):
            return {"packages": entries, "debs": {}}
        going = {name: old for name, (old, new) in builds.items() if old is not None and _moves(old, new)}
        installed = {name: entry for name, entry in going.items() if dpkg.is_installed(entry)}
        os.makedirs(journal.directory, mode=0o700, exist_ok=True)
        record, configuration = "package-" + os.urandom(8).hex(), footprint.configuration(list(going))
        after.update(record=journal.path(record), accounts=footprint.accounts(), configuration=list(configuration))
        debs = archives.keep(installed, journal.path("debs")) if installed else {}
        if "transaction" in after:
            after["transaction"].notes += [
                "%s %s is in no package source any more: there will be no way back to it" % (name, entry["version"])
                for name, entry in installed.items() if debs[name] is None
            ]  # fmt: skip
        return {
            "packages": entries, "debs": debs, "record": record, "accounts": after["accounts"],
            "configuration": configuration, "units": footprint.units(installed),
        }  # fmt: skip

    def load(self, saved: State, journal: Journal) -> State:
        debs = {name: journal.path(os.path.join("debs", deb)) for name, deb in saved["debs"].items() if deb}
        state = {"packages": saved["packages"], "debs": debs}
        return dict(state, before=dict(saved, record=journal.path(saved["record"]))) if "record" in saved else state

    def recover(self, name: str) -> None:
        settle()

    def fingerprint(self, state: State) -> Dict[str, Optional[str]]:
        packages: Dict[str, Entry] = state["packages"]
        names = state.get("touched", packages)
        return {name: packages[name]["version"] if dpkg.is_installed(packages.get(name)) else None for name in names}

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        files = [("file", path) for path in saved.get("configuration", {})]
        return files + [("service", unit) for unit in saved.get("units", {}).get("units", [])]

    def irreversible(self, saved: State) -> Optional[str]:
        missing = [(name, saved["packages"][name]["version"]) for name, deb in saved["debs"].items() if deb is None]
        if not missing or _offered(tuple(missing)):
            return None
        return "no package source has %s any more" % ", ".join("%s %s" % pair for pair in missing)

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        names: List[str] = after["touched"]
        texts = []
        for state in (before, after):
            other = after if state is before else before
            lines = (_described(n, state["packages"].get(n), other["packages"].get(n)) for n in names)
            texts.append("".join(lines))
        return {"before_header": "packages", "after_header": "packages", "before": texts[0], "after": texts[1]}


KIND = PackageKind()


@functools.lru_cache(maxsize=8)
def _offered(versions: Tuple[Tuple[str, str], ...]) -> bool:
    """Asked several times of one step in a rollback."""
    return archives.still_offered(dict(versions))


def _moves(old: Optional[Entry], new: Optional[Entry]) -> bool:
    """Is it more than a mark that changes?"""
    if old is None or new is None:
        return old is not new
    return (old["version"], old["status"]) != (new["version"], new["status"])


def _described(name: str, entry: Optional[Entry], other: Optional[Entry]) -> str:
    """A line for a package; its marks only where nothing else changes."""
    if entry is None:
        return ""
    text = "%s %s" % (name, entry["version"])
    if not dpkg.is_installed(entry):
        text = "%s (%s)" % (name, {"config-files": "configuration only"}.get(entry["status"], entry["status"]))
    if other is not None and not _moves(entry, other):
        marks = [] if entry["auto"] == other["auto"] else ["automatic" if entry["auto"] else "asked for"]
        marks += [] if entry["want"] == other["want"] else [entry["want"]]
        text += " (%s)" % ", ".join(marks)
    return text + "\n"
