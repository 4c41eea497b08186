"""How the host of a task is reached, under the names by which playbooks ask: `when: ansible_connection != 'local'`.

Ansible tells a task these also where nobody has set them; so it does `ansible_host`, see `Variables`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from wxops.engine.options import RunOptions
from wxops.engine.variables import Found
from wxops.errors import WxopsError
from wxops.playbook.plays import Common
from wxops.playbook.templating import Templar

USER, PORT = (tuple(f"{begin}_{name}" for begin in ("ansible", "ansible_ssh")) for name in ("user", "port"))


def with_connection(templar: Templar, common: Common, options: RunOptions) -> Templar:
    """The templar of a task, which knows them. What a variable says comes before keywords, and these before flags."""
    known = templar.namespace()
    otherwise: dict[tuple[str, ...], tuple[Any, Any]] = {
        ("ansible_connection",): (common.connection, options.connection or "ssh"),
        USER: (common.remote_user, options.remote_user),
        PORT: (common.port, options.port),
    }
    told: dict[str, Any] = {}
    for names, (keyword, flag) in otherwise.items():
        missing = [name for name in names if name not in known]
        if not missing:
            continue
        with contextlib.suppress(WxopsError):  # the task fails with it when it reaches for the host
            said = next((known[name] for name in names if name in known), None)
            value = said or (templar.render(keyword) if keyword is not None else None) or flag
            told.update({name: value for name in missing if value is not None})
    return templar.extended(Found(told)) if told else templar
