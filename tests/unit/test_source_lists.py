"""apt's sources on one line: how they are read, named and written."""

from __future__ import annotations

import pytest

from wxops.agent.debian.ppa import Archive
from wxops.agent.debian.source_lists import Line, file_for, valid_source
from wxops.agent.failure import ModuleFailure

# What ansible-core's own parser makes of the same lines.
LINES = {
    "deb  http://a/ x   main": "deb http://a/ x main\n",
    "#deb http://a/ x main": "# deb http://a/ x main\n",
    "deb http://a/ x main #why": "deb http://a/ x main # why\n",
    "# deb http://a/ x main # why ": "# deb http://a/ x main # why\n",
    "#  just   words": "# just   words\n",
    "#": "# \n",
    "": "\n",
}


@pytest.mark.parametrize("text", LINES)
def test_a_line_has_one_form(text: str) -> None:
    assert str(Line(text)) == LINES[text]


def test_only_repositories_are_valid() -> None:
    found = {
        text: Line(text).valid for text in ("deb http://a x", "deb-src http://a x", "#deb http://a x", "rpm x", "")
    }
    assert list(found.values()) == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("source", "name", "path"),
    [
        ("deb https://user:pw@a.example.com:8443/x-y/ stable main", None, "a_example_com_8443_x_y.list"),
        ("deb [arch=amd64 signed-by=/k] http://a/debian x main", None, "a_debian.list"),
        ("deb-src file:///srv/repo ./", None, "srv_repo.list"),
        ("deb http://a/ x main", "mine", "mine.list"),
    ],
)
def test_a_new_source_has_a_file_of_its_own(source: str, name: str | None, path: str) -> None:
    assert file_for(source, name) == "/etc/apt/sources.list.d/" + path


def test_a_file_may_be_named_with_its_path() -> None:
    assert file_for("deb http://a/ x main", "/srv/mine") == "/srv/mine.list"


@pytest.mark.parametrize("text", ["http://a/ x main", "# deb http://a/ x main", "nonsense"])
def test_what_apt_would_not_take_is_refused(text: str) -> None:
    with pytest.raises(ModuleFailure, match="Invalid repository string"):
        valid_source(text)


def test_a_ppa_stands_for_a_source_and_has_a_key_of_its_own() -> None:
    archive, short = Archive("ppa:deadsnakes/nightly", "noble"), Archive("ppa:someone", "noble")
    assert archive.source == "deb https://ppa.launchpadcontent.net/deadsnakes/nightly/ubuntu noble main"
    assert archive.key_file == "/etc/apt/trusted.gpg.d/deadsnakes-nightly.asc"
    assert short.source.startswith("deb https://ppa.launchpadcontent.net/someone/ppa/ubuntu ")
