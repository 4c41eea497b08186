"""The options of commands that hold a profile against a checkpoint and a host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option("--model", "models", multiple=True, metavar="[PRECISION=]DIR",
                 help="The checkpoint here, or a known model's name; int4=DIR is that of one precision."),
    click.option("--host", "facts", metavar="FACTS", help="The host's: JSON of `wxops audit --json`; - reads them."),
    click.option("--host-name", help="Which of the hosts in FACTS."),
    click.option("--here", is_flag=True, help="It is to run on this machine."),
)  # fmt: skip


def against(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command
