"""Reaching a host again as an earlier run did: logged in as that user, become that user."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from wxops.engine.become import again, become_for, how
from wxops.engine.options import RunOptions
from wxops.playbook.templating import Templar
from wxops.transport.options import Become


def likely(templar: Templar, options: RunOptions) -> list[dict[str, str | None]]:
    """Who may have acted where no record tells: whom the inventory and the flags name."""
    become = become_for(None, templar, templar.namespace(), options)
    whom: list[dict[str, str | None]] = [{"become": None}, *([how(become)] if become else [])]
    return [{"connection": None, "login": None, **each} for each in whom]


def reach_as(
    templar: Templar, who: Mapping[str, str | None], options: RunOptions
) -> tuple[Mapping[str, Any], Become | None]:
    """The host's variables and whom to become. who: connection, login and become, as a run's record has them."""
    said = {"ansible_connection": "local" if who["connection"] == "local" else None,
            "ansible_user": who["login"] if not options.remote_user else None}  # fmt: skip
    said = {name: value for name, value in said.items() if value and name not in options.extra_vars}
    variables: Any = ChainMap(said, templar.namespace())  # type: ignore[arg-type]  # read only
    return variables, again(who, variables, options)
