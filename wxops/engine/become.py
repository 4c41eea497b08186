"""Whose rights a task takes: its keywords first, then the flags of the run, then the host's variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wxops.errors import InputError
from wxops.transport.becoming import METHODS
from wxops.transport.options import Become

if TYPE_CHECKING:
    from wxops.engine.options import RunOptions
    from wxops.playbook.plays import Common
    from wxops.playbook.templating import Templar

SHORT_FLAGS = re.compile(r"-[ABbEHiKkNnPSsv]+")
"""Flags of sudo that take no value: -Hn is -H and -n, while in -unathan the n belongs to a name."""
PASSWORDS = ("ansible_become_password", "ansible_become_pass")


def become_for(
    common: Common | None, templar: Templar, variables: Mapping[str, Any], options: RunOptions
) -> Become | None:
    """The user to become on the host whose `variables` these are, or None to stay the login user.

    Variables (ansible_become...) win over keywords, and keywords over flags, as in Ansible. common: None outside plays.
    """

    def value(name: str, flag: Any) -> Any:
        found = next((variables[key] for key in _names(name, method) if variables.get(key) is not None), None)
        if found is None and common is not None:
            found = templar.render(getattr(common, name))
        return flag if found is None else found

    method = ""
    wanted = value("become", options.become)
    if wanted is None or not _truth(wanted):
        return None
    method = _method(value("become_method", options.become_method))
    flags, exe = value("become_flags", None), value("become_exe", None)
    return Become(
        user=str(value("become_user", options.become_user) or "root"),
        method=method,
        password=password_of(variables, options, method),
        flags=None if flags is None else _flags(str(flags), method),
        exe=str(exe) if exe else None,
    )


def _truth(wanted: Any) -> bool:
    from wxops.playbook.signature import boolean

    try:
        return boolean(wanted)
    except ValueError as error:
        raise InputError(f"become {error}") from None


def password_of(variables: Mapping[str, Any], options: RunOptions, method: str) -> str | None:
    """The password that the host's variables or the flags have for becoming another user."""
    names = (*PASSWORDS, f"ansible_{method}_pass")
    found = next(filter(None, map(variables.get, names)), None) or options.become_password
    return str(found) if found is not None else None


def how(become: Become) -> dict[str, str | None]:
    """What a later rollback must know to become the same user in the same way; without the password."""
    return {"become": become.user, "method": become.method, "flags": become.flags, "exe": become.exe}


def again(who: Mapping[str, str | None], variables: Mapping[str, Any], options: RunOptions) -> Become | None:
    """The user that `how` told of; the password is that of now."""
    user, method = who.get("become"), who.get("method") or "sudo"
    if user is None:
        return None
    return Become(user, method, password_of(variables, options, method), who.get("flags"), who.get("exe"))


def _names(name: str, method: str) -> list[str]:
    """`become_exe` may also stand as ansible_su_exe, where su is the method."""
    own = [f"ansible_{method}{name.removeprefix('become')}"] if method else []
    return [f"ansible_{name}", *own]


def _method(named: Any) -> str:
    method = str(named or "sudo").removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    if method not in METHODS:
        raise InputError(f"become_method {named!r} is not known", fix=f"wxops has {' and '.join(METHODS)}")
    return method


def _flags(written: str, method: str) -> str:
    """Those of `become_flags`; whether sudo may ask, and where it reads the answer, is for us to say."""
    try:
        words = shlex.split(written)
    except ValueError as error:
        raise InputError(f"become_flags {written!r} cannot be read: {error}") from None
    if method != "sudo":
        return shlex.join(words)
    words = [re.sub("[nS]", "", word) if SHORT_FLAGS.fullmatch(word) else word for word in words]
    return shlex.join(word for word in words if word not in ("-", "--non-interactive", "--stdin")) or "-H"
