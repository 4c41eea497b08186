"""An option of a command that is also an environment variable, which is how a container takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def setting(flag: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option that is also the environment's WXRUNTIME_FLAG. A switch is written `--flag/--no-flag`."""
    name = flag.split("/")[0].removeprefix("--").upper().replace("-", "_")
    return click.option(flag, envvar=f"WXRUNTIME_{name}", **attributes)
