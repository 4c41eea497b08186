"""assemble's part on the controller: which fragments it takes, and what becomes of them."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wxops.actions.assemble import prepare
from wxops.errors import InputError


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for name, text in {"b": "two\n", "a": "one", ".hidden": "three"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    return tmp_path


def made(folder: Path, **arguments: Any) -> bytes:
    call: Any = SimpleNamespace(find=lambda name, _: Path(name))
    module, sent = prepare(call, str(folder), "/dest", remote_src=False, **arguments)
    assert module == "copy"
    return base64.b64decode(sent["_sent"]["content"]["base64"])


def test_fragments_of_the_controllers_come_in_order(parts: Path) -> None:
    assert made(parts) == b"three\none\ntwo\n"
    assert made(parts, ignore_hidden=True, delimiter="--") == b"one\n--\ntwo\n"
    assert made(parts, regexp="^[b-z]") == b"two\n"


def test_a_file_is_no_directory(parts: Path) -> None:
    with pytest.raises(InputError, match="is not a directory"):
        made(parts / "a")


def test_an_expression_that_is_none_is_named(parts: Path) -> None:
    with pytest.raises(InputError, match="Invalid Regexp"):
        made(parts, regexp="(")


def test_fragments_of_the_hosts_are_left_to_the_host(parts: Path) -> None:
    module, arguments = prepare(SimpleNamespace(), "/in", "/out", delimiter="x")  # type: ignore[arg-type]
    assert (module, arguments["delimiter"], arguments["src"]) == ("assemble", "x", "/in")
