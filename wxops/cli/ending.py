"""How a command ends: an error is a sentence and an exit code; what wxops did not foresee is also a file to report."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from wxops import __version__
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
    return _unforeseen(error)


def _unforeseen(error: Exception) -> str:
    """Only the kind and the place: the message may hold what should not be on a screen. The file has it all."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if f"{os.sep}wxops{os.sep}" in f.filename), "?")
    what = f"this is a bug in wxops: {type(error).__name__} at {place}"
    file = _report(error)
    if file is None:
        return what + "\n  please report it; its traceback could not be written anywhere"
    return what + f"\n  please report it with {file}; look it over first, it may name your hosts"


def _report(error: Exception) -> Path | None:
    """The traceback in a file that only its owner can read: among the run records, else for temporary files."""
    command = " ".join(word for word in sys.argv[1:2] if not word.startswith("-"))
    text = f"wxops {__version__} {command}\nPython {sys.version}\n\n" + "".join(traceback.format_exception(error))
    name = time.strftime("crash-%Y%m%d-%H%M%S-", time.gmtime())
    for folder in (_state(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, path = tempfile.mkstemp(".txt", name, folder)
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return Path(path)
    return None


def _state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "wxops" / "crashes"
