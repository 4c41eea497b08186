"""How a command ends: an error is a sentence and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

import click

from wxops import crash
from wxops.errors import WxopsError

INTERRUPTED, CLOSED_PIPE, UNFORESEEN = 130, 141, 1
THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # trouble that is no bug of ours


def exit_code(command: Callable[[], object]) -> int:
    """Call a command and say on stderr what went wrong, never with a traceback."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except WxopsError as error:
        _say(str(error))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
    except click.UsageError as error:
        where = f"\n  see `{error.ctx.command_path} --help`" if error.ctx else ""
        _say(error.format_message() + where)
    except click.ClickException as error:
        _say(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return CLOSED_PIPE
    except Exception as error:
        _say(_sentence(error))
    return UNFORESEEN


def _give_up_output() -> None:
    """What is still to be written goes nowhere, or the interpreter complains as it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    click.echo(f"{click.style('error:', fg='red')} {text}", err=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in THE_MACHINE:
        _give_up_output()
        return f"{error.filename or 'the output'} cannot be written: {error.strerror}"
    return crash.sentence(error)
