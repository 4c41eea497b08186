"""Where changes of replicas are kept over a restart: a JSON file, replaced as a whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import ValidationError

from wxruntime.gateway.roster import Rosters


class RosterFileError(Exception):
    """A file that cannot be read or written; the message names it."""


def read(path: Path) -> Rosters:
    """What was kept; nothing where there is no file yet. Raises RosterFileError."""
    try:
        return Rosters.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Rosters()
    except OSError as error:
        raise RosterFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValidationError:
        raise RosterFileError(
            f"{path} is not what a gateway has written: remove it, and the file's replicas hold"
        ) from None


def write(path: Path, rosters: Rosters) -> None:
    """On the disk when this returns. Raises RosterFileError, and what was there before stays."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(rosters.model_dump_json(exclude_none=True, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise RosterFileError(f"{path} cannot be written: {error.strerror or error}") from None
