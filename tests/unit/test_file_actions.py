"""The controller's part of copy, script and fetch: what is sent, and where a fetched file may go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wxops.actions import _content
from wxops.actions.copy import Entry, _tree
from wxops.actions.fetch import _target
from wxops.actions.script import _first_word
from wxops.errors import InputError


@pytest.mark.parametrize(
    ("line", "script", "arguments"),
    [
        ("a.sh", "a.sh", ""),
        ("a.sh one 'two  three' $X *", "a.sh", "one 'two  three' $X *"),
        ("'my script.sh'  a", "my script.sh", "a"),
        ('"a b"/c.sh a.sh', "a b/c.sh", "a.sh"),
    ],
)
def test_the_first_word_is_the_script(line: str, script: str, arguments: str) -> None:
    assert _first_word(line) == (script, arguments)


def test_a_script_with_an_open_quote_is_an_error() -> None:
    with pytest.raises(InputError, match="No closing quotation"):
        _first_word("'a.sh b")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "sub/b").touch()
    (top / "a").touch()
    (top / "to-a").symlink_to("a")
    (top / "to-nothing").symlink_to("nothing")
    (top / "sub/to-top").symlink_to("..")
    return top


def _kinds(entries: list[Entry]) -> dict[str, str]:
    return {e.path: "file" if e.source else f"-> {e.target}" if e.target else "directory" for e in entries}


def test_a_tree_follows_links_but_not_in_circles(tree: Path) -> None:
    assert _kinds(_tree(tree, inside=True, follow=True)) == {
        "a": "file", "to-a": "file", "sub/b": "file", "sub": "directory", "sub/to-top": "-> ..",
        "to-nothing": "-> nothing",
    }  # fmt: skip


def test_a_tree_keeps_links_and_its_name(tree: Path) -> None:
    found = _kinds(_tree(tree, inside=False, follow=False))
    assert found["top/to-a"] == "-> a"
    assert list(found)[:2] == ["top/a", "top/sub/b"], "files come first: they say which directories are needed"


@pytest.mark.parametrize(
    ("size", "registered", "checked", "sums"),
    [(9, False, False, True), (10, False, False, False), (10, True, False, True), (10, False, True, True)],
)
def test_a_large_file_has_the_digests_that_somebody_reads(
    size: int, registered: bool, checked: bool, sums: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_content, "LARGE", 10)
    (tmp_path / "file").write_bytes(b"x" * size)
    call: Any = SimpleNamespace(is_registered=registered)
    sent = _content.one_file(call, tmp_path / "file", "file", checked)
    assert ("sha1" in sent, "md5" in sent) == (sums, sums)


def _call(folder: Path) -> Any:
    return SimpleNamespace(host="web1", templar=SimpleNamespace(search_path=(folder,)))


@pytest.mark.parametrize(
    ("src", "dest", "flat", "target"),
    [
        ("/etc/hosts", "got", False, "got/web1/etc/hosts"),
        ("/etc/hosts", "got/", False, "got/web1/etc/hosts"),
        ("etc/hosts", "got", False, "got/web1/etc/hosts"),
        ("/etc/hosts", "got/mine", True, "got/mine"),
        ("/etc/hosts", "got/", True, "got/hosts"),
        ("/etc/../etc/hosts", "got", False, "got/web1/etc/hosts"),
    ],
)
def test_a_fetched_file_has_its_place(src: str, dest: str, flat: bool, target: str, tmp_path: Path) -> None:
    assert _target(_call(tmp_path), src, dest, flat) == tmp_path / target


@pytest.mark.parametrize("src", ["/../x", "../../x", "/etc/../../web2/x", "/"])
def test_a_fetched_file_never_leaves_its_host(src: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would lead out"):
        _target(_call(tmp_path), src, "got", False)


def test_a_directory_is_not_a_place_for_a_flat_file(tmp_path: Path) -> None:
    (tmp_path / "got/hosts").mkdir(parents=True)
    with pytest.raises(InputError, match="dest is an existing directory"):
        _target(_call(tmp_path), "/etc/hosts", "got", True)
    with pytest.raises(InputError, match="is an existing directory"):
        _target(_call(tmp_path), "/etc/hosts", "got/", True)
