"""`git` on this machine's own git: a check changes nothing and predicts, a second run changes nothing, and a rollback

brings back each byte of the work tree and of what git keeps.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_file_modules import conflicts
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules import rollback
from wxops.agent.modules.git import git

Tree = dict[str, Any]


def tree(root: Path) -> Tree:
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (oct(state.st_mode), content)
    return found


def sh(command: str, cwd: Path) -> str:
    quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "LC_ALL": "C",
             "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "GIT_ALLOW_PROTOCOL": "file"}  # fmt: skip
    done = subprocess.run(["sh", "-ec", command], cwd=cwd, env={**os.environ, **quiet}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Place:
    """A repository to clone, and a place to put checkouts; each task is a run with a journal of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.root, self.origin = home, home / "root", home / "origin"
        self.dest = self.root / "app"
        self.runs = itertools.count()
        for folder in (self.root, self.origin):
            folder.mkdir()
        sh("git init -q -b main; git config uploadpack.allowAnySHA1InWant true; echo one >file; echo x >gone; "
           "git add .; git commit -qm 1; git tag -a v1 -m v1; git branch old", self.origin)  # fmt: skip

    def more(self) -> str:
        """Another commit at the origin; its hash."""
        return sh("echo two >file; mkdir -p d; echo new >d/new; git rm -q --ignore-unmatch gone; git add .; "
                  "git commit -qm 2; git branch -f side; git rev-parse HEAD", self.origin)  # fmt: skip

    def run(self, *, check: bool = False, **arguments: Any) -> tuple[dict[str, Any], Journal, Change]:
        journal = Journal(f"run-{next(self.runs)}", root=str(self.home / "state"))
        change = Change(View(), journal, check=check)
        result = git(change, **{"repo": str(self.origin), "dest": str(self.dest), **arguments})
        return result, journal, change

    def back(self, journal: Journal) -> None:
        change = Change(View(), Journal(f"back-{next(self.runs)}", root=str(self.home / "state")))
        steps = journal.steps()
        assert conflicts(change, journal) == []
        rollback._take_back(change, journal, steps)

    def keeps_its_promises(self, again: bool = False, **arguments: Any) -> dict[str, Any]:
        before = tree(self.root)
        predicted, _, foreseen = self.run(check=True, **arguments)
        assert tree(self.root) == before, "the check changed something"
        result, journal, change = self.run(**arguments)
        assert (predicted["changed"], predicted["after"]) == (result["changed"], result["after"])
        assert foreseen.diffs == change.diffs
        done = tree(self.root)
        second = self.run(**arguments)[0]
        assert second["changed"] == again
        assert again or tree(self.root) == done
        self.back(journal)
        assert tree(self.root) == before, "not as it was before"
        self.run(**arguments)
        return result

    def head(self) -> str:
        return sh("git rev-parse HEAD", self.dest)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("version", ["HEAD", "v1", "old", "main"])
def test_a_clone_comes_and_goes(version: str, place: Place) -> None:
    result = place.keeps_its_promises(version=version)
    assert result["before"] is None and result["after"] == place.head()
    assert (place.dest / "file").read_text() == "one\n"


def test_a_clone_into_an_empty_directory_leaves_the_directory(place: Place) -> None:
    place.dest.mkdir(mode=0o700)
    place.keeps_its_promises()


@pytest.mark.parametrize("given", [{"depth": 1}, {"single_branch": True, "version": "old"}, {"bare": True}], ids=str)
def test_clones_of_other_kinds(given: dict[str, Any], place: Place) -> None:
    place.keeps_its_promises(**given)


@pytest.mark.parametrize("version", ["HEAD", "main", "side"])
def test_an_update_brings_new_commits_and_a_rollback_the_old_ones(version: str, place: Place) -> None:
    place.run()
    (place.dest / "untracked").write_text("mine")
    before = place.head()
    commit = place.more()
    result = place.keeps_its_promises(version=version)
    assert (result["before"], result["after"], place.head()) == (before, commit, commit)
    assert (place.dest / "untracked").read_text() == "mine" and not (place.dest / "gone").exists()


def test_a_hash_and_a_tag_detach_head(place: Place) -> None:
    place.run()
    first, commit = place.head(), place.more()
    assert place.keeps_its_promises(version=commit)["after"] == commit
    assert place.keeps_its_promises(version="v1")["after"] == first
    assert sh("git status -sb | head -1", place.dest) == "## HEAD (no branch)"


def test_modified_files_are_no_mans_to_throw_away(place: Place) -> None:
    place.run()
    (place.dest / "file").write_text("mine\n")
    place.more()
    for check in (True, False):
        with pytest.raises(ModuleFailure, match="Local modifications exist in the destination"):
            place.run(check=check)


def test_force_throws_them_away_and_a_rollback_brings_them_back(place: Place) -> None:
    place.run()
    (place.dest / "file").write_text("mine\n")
    (place.dest / "file").chmod(0o600)
    (place.dest / "gone").unlink()
    (place.dest / "d").mkdir()
    (place.dest / "d" / "new").write_text("in the way\n")
    sh("echo staged >staged; git add staged", place.dest)
    place.more()
    place.keeps_its_promises(force=True, again=False)
    assert (place.dest / "d" / "new").read_text() == "new\n"


def test_a_shallow_clone_is_brought_forward(place: Place) -> None:
    place.run(depth=1)
    commit = place.more()
    assert place.keeps_its_promises(depth=1)["after"] == commit


def test_a_clone_of_one_branch_may_switch_to_another(place: Place) -> None:
    place.run(depth=1, version="old")
    commit = place.more()
    assert place.keeps_its_promises(depth=1, version="main")["after"] == commit
    assert sh("git branch --show-current", place.dest) == "main"


def test_a_bare_repository_is_brought_forward(place: Place) -> None:
    place.run(bare=True)
    commit = place.more()
    assert place.keeps_its_promises(bare=True)["after"] == commit


def test_another_address_is_a_change(place: Place) -> None:
    place.run()
    sh("cp -a origin other", place.home)
    result = place.keeps_its_promises(repo=str(place.home / "other"))
    assert result["remote_url_changed"] and result["changed"]


def test_a_checkout_may_be_left_as_it_is(place: Place) -> None:
    place.run()
    place.more()
    result, _, _ = place.run(update=False)
    assert not result["changed"] and result["before"] == result["after"] == place.head()


def test_asking_without_cloning(place: Place) -> None:
    result, _, _ = place.run(clone=False)
    assert result["changed"] and result["before"] is None and not place.dest.exists()


def test_submodules_come_along(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    (place.home / "library").mkdir()
    sh("git init -q -b main; echo a >a; git add .; git commit -qm a", place.home / "library")
    sh(f"git submodule add -q {place.home}/library lib; git commit -qm lib", place.origin)
    place.keeps_its_promises()
    assert (place.dest / "lib" / "a").read_text() == "a\n"
    sh("echo b >a; git commit -qam b", place.home / "library")
    sh("git -C lib pull -q; git commit -qam lib", place.origin)
    place.keeps_its_promises()
    assert (place.dest / "lib" / "a").read_text() == "b\n"


def test_a_new_submodule_goes_with_a_rollback(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    place.run()
    (place.home / "library").mkdir()
    sh("git init -q -b main; echo a >a; git add .; git commit -qm a", place.home / "library")
    sh(f"git submodule add -q {place.home}/library lib; git commit -qm lib", place.origin)
    place.keeps_its_promises()


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tgz"])
def test_an_archive_of_the_version(form: str, place: Place) -> None:
    place.run()
    place.keeps_its_promises(archive=str(place.root / f"app.{form}"), archive_prefix="app/")


def test_an_archive_of_another_form_is_refused(place: Place) -> None:
    with pytest.raises(ModuleFailure, match="Unable to get file extension"):
        place.run(archive=str(place.root / "app.rar"))


def test_git_may_keep_its_files_elsewhere(place: Place) -> None:
    place.run()
    result, _, _ = place.run(separate_git_dir=str(place.root / "kept"))
    assert result["git_dir_now"] == str(place.root / "kept") and result["changed"]
    assert sh("git status --porcelain", place.dest) == ""
    place.more()
    place.keeps_its_promises(separate_git_dir=str(place.root / "kept"))


def test_moving_what_git_keeps_comes_back(place: Place) -> None:
    place.run()
    before = tree(place.root)
    place.back(place.run(separate_git_dir=str(place.root / "kept"))[1])
    assert tree(place.root) == before


def test_a_version_without_a_signature_is_refused_before_it_is_checked_out(place: Place) -> None:
    place.run()
    head = place.head()
    place.more()
    with pytest.raises(ModuleFailure, match="Failed to verify GPG signature"):
        place.run(verify_commit=True)
    assert place.head() == head


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dest": None}, "the destination directory must be specified"),
        ({"bare": True, "separate_git_dir": "/x"}, "mutually exclusive: separate_git_dir|bare"),
        ({"accept_hostkey": True, "accept_newhostkey": True}, "mutually exclusive: accept_hostkey|accept_newhostkey"),
        ({"archive_prefix": "x/"}, "missing parameter"),
        ({"umask": 22}, "quoted octal"),
        ({"umask": "99"}, "octal integer"),
        ({"repo": "/nowhere"}, "git ls-remote failed"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str, place: Place) -> None:
    with pytest.raises(ModuleFailure, match=message.replace("|", r"\|")):
        place.run(**given)


def test_a_directory_with_other_things_is_not_cloned_into(place: Place) -> None:
    place.dest.mkdir()
    (place.dest / "mine").touch()
    for check in (True, False):
        with pytest.raises(ModuleFailure, match="is not an empty directory"):
            place.run(check=check)


def test_a_commit_of_somebody_else_is_a_conflict(place: Place) -> None:
    place.run()
    place.more()
    journal = place.run()[1]
    sh("echo mine >mine; git add mine; git -c user.name=a -c user.email=a@b commit -qm mine", place.dest)
    change = Change(View(), Journal("back", root=str(place.home / "state")))
    assert "changed by somebody else since" in conflicts(change, journal)[0]


def test_a_login_in_the_address_is_not_shown(place: Place) -> None:
    with pytest.raises(ModuleFailure) as caught:
        place.run(repo="http://user:geheim@127.0.0.1:1/x.git")
    assert "geheim" not in str(caught.value.result)


def test_a_version_that_there_is_not_changes_nothing(place: Place) -> None:
    place.run()
    head = place.head()
    for check in (True, False):
        with pytest.raises(ModuleFailure, match="Failed to checkout no-such-version"):
            place.run(version="no-such-version", check=check)
    assert place.head() == head


def test_a_switch_that_was_cut_short_is_taken_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.run()
    place.more()
    before = tree(place.dest)
    monkeypatch.setattr("wxops.agent.git.deploy.update_submodules", _killed)
    with pytest.raises(KeyboardInterrupt):
        place.run()
    assert tree(place.dest) != before
    place.back(Journal("run-1", root=str(place.home / "state")))
    assert tree(place.dest) == before


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
