"""Whose rights a task takes: its keywords first, then the flags of the run, then the host's variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from wxops.engine.options import RunOptions
from wxops.errors import InputError
from wxops.playbook.plays import Common
from wxops.playbook.signature import boolean
from wxops.playbook.templating import Templar
from wxops.transport.options import Become

SHORT_FLAGS = re.compile(r"-[ABbEHiKkNnPSsv]+")
"""Flags of sudo that take no value: -Hn is -H and -n, while in -unathan the n belongs to a name."""
PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")


def become_for(common: Common, templar: Templar, variables: Mapping[str, Any], options: RunOptions) -> Become | None:
    """The user to become on the host whose `variables` these are, or None to stay the login user.

    Variables (ansible_become...) win over keywords, and keywords over flags, as in Ansible.
    """

    def value(name: str, keyword: Any, flag: Any) -> Any:
        found = variables.get(f"ansible_{name}")
        if found is None:
            found = templar.render(keyword) if keyword is not None else flag
        return found

    wanted = value("become", common.become, options.become)
    try:
        if wanted is None or not boolean(wanted):
            return None
    except ValueError as error:
        raise InputError(f"become {error}") from None
    method = value("become_method", common.become_method, options.become_method) or "sudo"
    if str(method).removeprefix("ansible.builtin.") != "sudo":
        raise InputError(f"become_method {method!r} is not known", fix="sudo is the one that wxops has")
    password = next(filter(None, map(variables.get, PASSWORDS)), None) or options.become_password
    flags = value("become_flags", common.become_flags, None)
    return Become(
        user=str(value("become_user", common.become_user, options.become_user) or "root"),
        password=str(password) if password is not None else None,
        flags="-H" if flags is None else _flags(str(flags)),
    )


def _flags(written: str) -> str:
    """Those of `become_flags`; whether sudo may ask, and where it reads the answer, is for us to say."""
    try:
        words = shlex.split(written)
    except ValueError as error:
        raise InputError(f"become_flags {written!r} cannot be read: {error}") from None
    words = [re.sub("[nS]", "", word) if SHORT_FLAGS.fullmatch(word) else word for word in words]
    return shlex.join(word for word in words if word not in ("-", "--non-interactive", "--stdin")) or "-H"
