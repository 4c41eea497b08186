"""Keeping packages from starting services while they are installed: Debian's /usr/sbin/policy-rc.d, for a moment.

What was there is put aside under another name and comes back, also after a kill: see `put_back`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator, Optional

POLICY = "/usr/sbin/policy-rc.d"
ASIDE = POLICY + ".wxops-kept"
MARK = "# by wxops, for the length of one package transaction"
DENY_STARTS = '#!/bin/sh\n%s\ncase "$*" in *stop*) exit 0;; esac\nexit 101\n' % MARK
"""Services may be stopped, not started."""


def exit_with(code: int) -> str:
    return "#!/bin/sh\n%s\nexit %d\n" % (MARK, code)


@contextlib.contextmanager
def policy(script: Optional[str]) -> Iterator[None]:
    """This script stands there in the meantime; None: nothing is done."""
    put_back()
    if script is None:
        yield
        return
    if os.path.lexists(POLICY):
        os.rename(POLICY, ASIDE)
    with open(os.open(POLICY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "w", encoding="utf-8") as file:
        file.write(script)
        os.fchmod(file.fileno(), 0o755)
    try:
        yield
    finally:
        put_back()


def put_back() -> None:
    """As it was before a transaction; nothing to do when none was cut short."""
    if os.path.lexists(ASIDE):
        os.rename(ASIDE, POLICY)
        return
    try:
        with open(POLICY, encoding="utf-8", errors="replace") as file:
            is_ours = MARK in file.read(200)
    except FileNotFoundError:
        return
    if is_ours:
        os.unlink(POLICY)
