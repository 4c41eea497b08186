"""What a wanted password, lock or date means for a user's line in /etc/shadow."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, Optional

DAY_S = 86400
NO_PASSWORD = ("*", "!")
# How long the last part of a hash is, by its method, as crypt(5) tells.
HASH_LENGTHS = {"1": 22, "5": 43, "6": 86, "y": 43}


def looks_hashed(password: str) -> bool:
    if password in NO_PASSWORD or set(password) == {"*"}:
        return True
    method, _, rest = password[1:].partition("$")
    last = rest.rsplit("$", 1)[-1]
    return (
        password.startswith("$")
        and re.match(r"^[a-zA-Z0-9./=]+$", last) is not None
        and len(last) == HASH_LENGTHS.get(method, len(last))
    )


def wanted_password(now: str, password: Optional[str], lock: Optional[bool]) -> Dict[str, str]:
    """The fields to change for a password and a lock. Whether a hash is locked or not, it is the same password.

    now: the field as it is, "!" for a new user; password: None leaves it as it is.
    """
    is_other = password is not None and now.lstrip("!") != password.lstrip("!")
    wanted = password if is_other and password is not None else now
    if lock and not wanted.startswith("!"):
        wanted = "!" + wanted
    elif lock is False and wanted.lstrip("!"):  # "!" alone stays: unlocked, it would be an empty password
        wanted = wanted.lstrip("!")
    fields = {} if wanted == now else {"password": wanted}
    return dict(fields, changed=str(int(time.time()) // DAY_S)) if is_other else fields


def wanted_dates(**days: Optional[float]) -> Dict[str, str]:
    """Fields of days as /etc/shadow writes them; those that are asked for. A negative number empties a field."""
    return {key: "" if value < 0 else str(int(value)) for key, value in days.items() if value is not None}
