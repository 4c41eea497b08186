"""Digests of files on the controller."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wxops import digests as module
from wxops.digests import CHUNK, SMALL, digests, of_bytes, sha256


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_all_three_are_those_of_the_whole_file(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    found = digests(tmp_path / "file")
    assert found == of_bytes(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest() and found.md5 == hashlib.md5(data).hexdigest()
    assert found.sha1 == hashlib.sha1(data).hexdigest()


def test_many_hosts_that_ask_at_once_cost_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(os.urandom(SMALL))
    read = []
    of_file = module._of_file
    monkeypatch.setattr(module, "_of_file", lambda path, names: (read.append(path), of_file(path, names))[1])
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(digests, [tmp_path / "file"] * 32))
    assert len(found) == 1 and len(read) == 1


@pytest.mark.parametrize("size", [SMALL - 1, CHUNK + 1])
def test_the_one_that_decides_is_had_alone_and_the_others_later(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    assert digests(tmp_path / "file") == of_bytes(data)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = digests(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert digests(file) != first
