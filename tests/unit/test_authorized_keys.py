"""Lines of authorized_keys: what counts as the same key, and what stays as it was written."""

from __future__ import annotations

import pytest

from wxops.agent.accounts.authorized_keys import Key, with_keys, without_keys

FILE = ["# keys of ops", "ssh-rsa AAAA1  ann", 'no-pty,from="a b,c" ssh-ed25519 AAAA2 bob at home', "garbage", ""]


def keys(*lines: str) -> list[Key]:
    return [key for key in map(Key.of, lines) if key is not None]


@pytest.mark.parametrize(
    "line",
    ["ssh-rsa AAAA1 ann", 'from="a b,c",no-pty ssh-ed25519 AAAA2 bob at home'],
)
def test_a_key_that_is_there_leaves_the_file_alone(line: str) -> None:
    assert with_keys(FILE, keys(line), exclusive=False) == FILE


@pytest.mark.parametrize(
    "line", ["ssh-rsa AAAA1 other", "no-pty ssh-rsa AAAA1 ann", "ssh-rsa AAAA1", 'from="a" ssh-rsa AAAA1 ann']
)
def test_a_key_that_differs_takes_the_old_ones_place_at_the_end(line: str) -> None:
    assert with_keys(FILE, keys(line), exclusive=False) == [FILE[0], *FILE[2:], line]


def test_exclusive_keeps_these_in_the_files_order() -> None:
    wanted = keys("ssh-rsa AAAA3", "ssh-rsa AAAA1 ann")
    assert with_keys(FILE, wanted, exclusive=True) == ["ssh-rsa AAAA1  ann", "ssh-rsa AAAA3"]


def test_a_key_is_removed_whatever_its_comment_and_options() -> None:
    assert without_keys(FILE, keys("ssh-ed25519 AAAA2")) == [*FILE[:2], *FILE[3:]]


def test_options_and_comment_that_are_given_take_the_place_of_the_keys_own() -> None:
    (key,) = keys("no-pty ssh-rsa AAAA1 ann")
    assert key.with_changes('command="ls, all"', "").line == 'command="ls, all" ssh-rsa AAAA1'
    assert key.with_changes(None, None).line == "no-pty ssh-rsa AAAA1 ann"


@pytest.mark.parametrize("line", ["# ssh-rsa AAAA1", "#ssh-rsa AAAA1", "ssh-rsa", "", "rsa AAAA1"])
def test_what_is_no_key_is_none(line: str) -> None:
    assert Key.of(line) is None
