"""`pip` in a virtual environment of this machine's: what a check says is what a run does, and a rollback puts the very

files back.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_file_modules import conflicts
from tests.wheels import build_wheel
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules import rollback
from wxops.agent.modules.pip import _joined, pip

VENV = f"{sys.executable} -m venv"


def tree(root: Path) -> dict[str, Any]:
    """All but what Python compiles."""
    found = {}
    for path in sorted(root.rglob("*")):
        if "__pycache__" not in path.parts:
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path.relative_to(root))] = (oct(path.lstat().st_mode), content)
    return found


class Place:
    """Wheels to install, and an environment to put them in; each task is a run with a journal of its own."""

    def __init__(self, home: Path, environment: Path) -> None:
        self.home, self.environment, self.wheels = home, environment, home / "wheels"
        self.runs = itertools.count()
        self.wheels.mkdir()
        for name, version, needs in (("wxlib", "1.0", ""), ("wxlib", "2.0", ""), ("wxapp", "1.0", "wxlib<2"),
                                     ("wxapp", "2.0", "wxlib>=2")):  # fmt: skip
            build_wheel(self.wheels, name, version, needs)

    def run(self, *, check: bool = False, **arguments: Any) -> tuple[dict[str, Any], Journal, Change]:
        journal = Journal(f"run-{next(self.runs)}", root=str(self.home / "state"))
        change = Change(View(), journal, check=check)
        given = {"virtualenv": str(self.environment), "virtualenv_command": VENV, **arguments}
        if given.get("state") != "absent":
            given.setdefault("extra_args", f"--no-index --find-links {self.wheels}")
        return pip(change, **given), journal, change

    def back(self, journal: Journal) -> None:
        change = Change(View(), Journal(f"back-{next(self.runs)}", root=str(self.home / "state")))
        steps = journal.steps()
        assert conflicts(change, journal) == []
        rollback._take_back(change, journal, steps)

    def keeps_its_promises(self, **arguments: Any) -> str:
        """What was installed in the meantime."""
        before = tree(self.environment)
        predicted, _, foreseen = self.run(check=True, **arguments)
        assert tree(self.environment) == before, "the check changed something"
        result, journal, change = self.run(**arguments)
        assert predicted["changed"] and result["changed"] and foreseen.diffs == change.diffs
        assert not self.run(**arguments)[0]["changed"]
        installed = self.installed()
        self.back(journal)
        assert tree(self.environment) == before, "not as it was before"
        return installed

    def installed(self) -> str:
        """What the programs say: each knows its version."""
        programs = sorted((self.environment / "bin").glob("wx*-program"))
        said = [subprocess.run([path], capture_output=True, text=True).stdout.strip() for path in programs]
        return " ".join(f"{path.name.partition('-')[0]}={word}" for path, word in zip(programs, said, strict=True))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("python") / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    return path


@pytest.fixture
def place(tmp_path: Path, environment: Path) -> Iterator[Place]:
    yield Place(tmp_path, environment)
    for path in [*environment.glob("lib/python3*/site-packages/wx*"), *environment.glob("bin/wx*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_package_comes_with_what_it_needs_and_goes(place: Place) -> None:
    assert place.keeps_its_promises(name=["wxapp"], version="1.0") == "wxapp=1.0 wxlib=1.0"


def test_an_upgrade_and_a_downgrade_come_back(place: Place) -> None:
    place.run(name=["wxapp==1.0"])
    assert place.keeps_its_promises(name=["wxapp"], state="latest") == "wxapp=2.0 wxlib=2.0"
    place.run(name=["wxapp"], state="latest")
    assert place.keeps_its_promises(name=["wxapp<2"]) == "wxapp=1.0 wxlib=1.0"


def test_a_removed_package_comes_back(place: Place) -> None:
    place.run(name=["wxapp==1.0"])
    assert place.keeps_its_promises(name=["WxApp"], state="absent") == "wxlib=1.0"


def test_a_file_of_requirements(place: Place, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("wxlib==1.0\n")
    assert place.keeps_its_promises(requirements=str(tmp_path / "requirements.txt")) == "wxlib=1.0"


def test_a_new_environment_goes_as_a_whole(place: Place, tmp_path: Path) -> None:
    new = tmp_path / "deep" / "environment"
    given: dict[str, Any] = {"name": ["wxlib"], "virtualenv": str(new)}
    assert place.run(check=True, **given)[0]["changed"] and not new.exists()
    result, journal, _ = place.run(**given)
    assert result["changed"] and result["virtualenv"] == str(new) and (new / "bin" / "wxlib-program").exists()
    assert not place.run(**given)[0]["changed"]
    place.back(journal)
    assert not new.parent.exists()


def test_a_package_of_somebody_else_stays(place: Place) -> None:
    _, journal, _ = place.run(name=["wxlib==1.0"])
    place.run(name=["wxapp==1.0"])
    place.back(journal)
    assert (place.environment / "bin" / "wxapp-program").exists()
    assert not (place.environment / "bin" / "wxlib-program").exists()


def test_a_version_that_changed_since_is_a_conflict(place: Place) -> None:
    _, journal, _ = place.run(name=["wxlib==1.0"])
    place.run(name=["wxlib==2.0"])
    change = Change(View(), Journal("back", root=str(place.home / "state")))
    assert "since" in conflicts(change, journal)[0]


def test_what_is_not_there_cannot_be_installed(place: Place) -> None:
    for check in (True, False):
        with pytest.raises(ModuleFailure, match="wxnone"):
            place.run(name=["wxnone"], check=check)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "one of the following is required"),
        ({"name": ["a"], "requirements": "b"}, "mutually exclusive: name.requirements"),
        ({"name": ["a"], "executable": "pip3"}, "mutually exclusive: executable.virtualenv"),
        ({"name": ["a"], "version": "1", "state": "latest"}, "incompatible with state=latest"),
        ({"name": ["a", "b"], "version": "1"}, "ambiguous"),
        ({"name": ["a>1"], "version": "1"}, "conflicts"),
        ({"name": ["a"], "umask": "9"}, "octal"),
        ({"name": ["a"], "virtualenv": "/nowhere/x", "virtualenv_command": "no-such-command"}, "python3 -m venv"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str, place: Place) -> None:
    with pytest.raises(ModuleFailure, match=message):
        place.run(**given)


def test_names_that_commas_cut_are_joined() -> None:
    given = ["django>1.11.1", "<1.11.3", "ipaddress", "simple[a", "b]>1", "<2,other"]
    assert _joined(given) == ["django>1.11.1,<1.11.3", "ipaddress", "simple[a,b]>1,<2", "other"]


def test_an_installation_that_was_cut_short_is_taken_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(place.environment)
    monkeypatch.setattr("wxops.agent.resources.python_packages._write_record", _killed)
    with pytest.raises(KeyboardInterrupt):
        place.run(name=["wxapp==1.0"])
    monkeypatch.undo()
    place.back(Journal("run-0", root=str(place.home / "state")))
    assert tree(place.environment) == before


def _killed(_: object) -> None:
    raise KeyboardInterrupt
