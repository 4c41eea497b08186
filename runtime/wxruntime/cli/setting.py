"""An option of a command that is also an environment variable, which is how a container takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def setting(flag: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option that is also the environment's WXRUNTIME_FLAG."""
    return click.option(flag, envvar="WXRUNTIME" + flag.upper().replace("-", "_").replace("__", "_"), **attributes)
