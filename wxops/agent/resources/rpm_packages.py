"""The packages of a host of the RHEL family: changed by one transaction of dnf, set back to exactly what there was."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from wxops.agent.debian import footprint
from wxops.agent.process import run
from wxops.agent.redhat import rpm
from wxops.agent.redhat.restore import keep, mark_as_needed, restore, user_installed
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

BESIDE = (".rpmnew", ".rpmsave", ".rpmorig")  # what rpm puts beside configuration that somebody edited


class RpmPackagesKind(Kind):
    """The name is that of the database: `rpm`. States: {"packages": NAME.ARCH -> versions (see redhat/rpm.py)}.

    A wanted state names only what is to change, with None for a package that is to go. With "transaction" (redhat/
    dnf.py) that brings it about; without, the packages are set to exactly these versions.
    """

    def read(self, name: str, view: View) -> State:
        return {"packages": rpm.packages()}

    def same(self, now: State, wanted: State) -> bool:
        if "transaction" in wanted:
            return False
        return all(now["packages"].get(key) == versions for key, versions in wanted["packages"].items())

    def merged(self, before: State, wanted: State) -> State:
        packages = {**before["packages"], **wanted["packages"]}
        packages = {key: versions for key, versions in packages.items() if versions}
        return dict(wanted, packages=packages, touched=sorted(wanted["packages"]))

    def predict(self, before: State, after: State) -> State:
        return {"packages": after["packages"]}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """The versions; .rpm files, configuration and services of those that go; and all accounts."""
        touched = {key: before["packages"].get(key) for key in after["touched"]}
        going = {key: [each for each in versions if each not in after["packages"].get(key, [])]
                 for key, versions in touched.items() if versions}  # fmt: skip
        going = {key: versions for key, versions in going.items() if versions}
        os.makedirs(journal.directory, mode=0o700, exist_ok=True)
        names = [rpm.nevra(key, version) for key, versions in going.items() for version in versions]
        record, configuration = "rpm-" + os.urandom(8).hex(), _configuration(names)
        after.update(record=journal.path(record), accounts=footprint.accounts(), configuration=list(configuration))
        kept = keep(going, journal.path("rpms")) if going else {}
        if "transaction" in after:
            lost = (each for each in names if not kept[each])
            after["transaction"].notes += [
                "%s is in no repository any more: there will be no way back to it" % each for each in lost
            ]
        asked = user_installed() if going else []
        return {
            "packages": touched, "rpms": kept, "record": record, "accounts": after["accounts"],
            "configuration": configuration, "units": footprint.units_among(rpm.listed_files(names)),
            "needed": sorted({key.rpartition(".")[0] for key in going} - set(asked)),
        }  # fmt: skip

    def load(self, saved: State, journal: Journal) -> State:
        files = {name: journal.path(os.path.join("rpms", file)) for name, file in saved["rpms"].items() if file}
        return {"packages": saved["packages"], "files": files,
                "before": dict(saved, record=journal.path(saved["record"]))}  # fmt: skip

    def write(self, name: str, state: State) -> None:
        try:
            if "transaction" in state:
                state["transaction"].run()
            else:
                self._take_back(state)
        finally:
            if "record" in state:
                footprint.write_record(state["record"], state["accounts"], state["configuration"])

    def _take_back(self, state: State) -> None:
        """Accounts first, so that files find their owners; services last, when all that they need is back."""
        before = state["before"]
        edited = footprint.edited_since(before["record"])
        footprint.put_accounts_back(before["accounts"])
        restore({key: state["packages"].get(key) for key in state["touched"]}, state["files"])
        footprint.put_configuration_back(before["configuration"], edited)
        footprint.remove_new_accounts(before["accounts"], before["record"])
        footprint.put_units_back(before["units"])
        mark_as_needed([name for name in before["needed"] if rpm.provides(name)])

    def fingerprint(self, state: State) -> Dict[str, Any]:
        names: List[str] = state.get("touched", list(state["packages"]))
        return {key: state["packages"].get(key) for key in names}

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        files = [("file", path) for path in saved["configuration"]]
        return files + [("service", unit) for unit in saved["units"]["units"]]

    def irreversible(self, saved: State) -> Optional[str]:
        missing = tuple(name for name, file in saved["rpms"].items() if file is None)
        return "no repository has %s any more" % ", ".join(missing) if missing and not _offered(missing) else None

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        texts = [_lines(state, after["touched"]) for state in (before, after)]
        return {"before_header": "packages", "after_header": "packages", "before": texts[0], "after": texts[1]}


KIND = RpmPackagesKind()


def _lines(state: State, names: List[str]) -> str:
    found = ((name, version) for name in names for version in state["packages"].get(name) or [])
    return "".join("%s\n" % rpm.nevra(*pair) for pair in found)


def _configuration(names: List[str]) -> Dict[str, Any]:
    paths = rpm.listed_files(names, configuration=True)
    return {path: footprint.kept_file(path) for name in paths for path in [name, *(name + end for end in BESIDE)]}


@functools.lru_cache(maxsize=8)
def _offered(names: Tuple[str, ...]) -> bool:
    """Asked several times of one step in a rollback."""
    done = run(["dnf", "-q", "repoquery", "--available", "--qf", "%{name}-%{evr}.%{arch}", *names],
               environment=rpm.ENGLISH)  # fmt: skip
    return set(names) <= set(done.stdout.split())
