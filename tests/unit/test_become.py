"""The flags of sudo that an operator writes: kept to the letter, but for those that wxops sets itself."""

from __future__ import annotations

import pytest

from wxops.engine.become import become_for
from wxops.engine.options import RunOptions
from wxops.errors import InputError
from wxops.playbook.plays import Common
from wxops.playbook.templating import Templar


def flags(written: str) -> str:
    become = become_for(Common(), Templar({}), {"ansible_become": True, "ansible_become_flags": written}, RunOptions())
    assert become is not None
    return become.flags


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("-H -S -n", "-H"),
        ("-HSn", "-H"),
        ("--preserve-env=NODE-name,A-S -H", "--preserve-env=NODE-name,A-S -H"),
        ("--non-interactive --login --stdin", "--login"),
        ("-gstaff-n -Cn", "-gstaff-n -Cn"),
        ("-r 'role with blanks'", "-r 'role with blanks'"),
        ("-n", "-H"),
        ("", "-H"),
    ],
)
def test_only_whole_flags_are_taken_out(written: str, meant: str) -> None:
    assert flags(written) == meant


def test_flags_that_cannot_be_read_are_the_operators_mistake() -> None:
    with pytest.raises(InputError, match='become_flags "-r \'role" cannot be read: No closing quotation'):
        flags("-r 'role")
