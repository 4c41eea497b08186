"""The account that the agent runs as."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def user(host: Host) -> Dict[str, Any]:
    name = _login_name()
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        account = pwd.getpwuid(os.getuid())
    return {
        "user_id": name,
        "user_uid": account.pw_uid,
        "user_gid": account.pw_gid,
        "user_gecos": account.pw_gecos,
        "user_dir": account.pw_dir,
        "user_shell": account.pw_shell,
        "real_user_id": os.getuid(),
        "effective_user_id": os.geteuid(),
        "real_group_id": os.getgid(),
        "effective_group_id": os.getegid(),
    }


def _login_name() -> str:
    """As getpass.getuser: the environment first, for an account shared by several names."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(variable):
            return os.environ[variable]
    return pwd.getpwuid(os.getuid()).pw_name
