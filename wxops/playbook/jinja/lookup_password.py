"""The lookup of a password in a file on the controller; it makes one, once, where there is none.

The file holds the password, and after it `salt=...` and `ident=...` once a hash of it was asked for, so that the hash
stays the same: the format of ansible-core, whose files this reads and whose passwords it makes from the same seed.
"""

from __future__ import annotations

import fcntl
import os
import random
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.playbook.jinja.key_values import with_pairs
from wxops.playbook.jinja.passwords import hashed, new_salt, scheme_of

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar

_NOWHERE = "/dev/null"


def password(
    terms: list[Any],
    templar: Templar,
    *,
    length: int = 20,
    chars: Any = ("ascii_letters", "digits", ".,:-_"),
    encrypt: str | None = None,
    ident: str | None = None,
    seed: Any = None,
) -> list[Any]:
    """The passwords in these files, or their hashes. A term may hold options: `creds/db length=32 chars=digits`."""
    given = {"length": length, "chars": chars, "encrypt": encrypt, "ident": ident, "seed": seed}
    return [_password(str(term), templar, given) for term in terms]


def _password(term: str, templar: Templar, given: dict[str, Any]) -> str:
    name, written = with_pairs(term, given)
    options = {**given, **written}
    letters = _letters(options["chars"])
    source = random.SystemRandom() if options["seed"] is None else random.Random(options["seed"])
    fresh = "".join(source.choice(letters) for _ in range(int(options["length"])))
    scheme = scheme_of(str(options["encrypt"])) if options["encrypt"] else None
    with _locked(_path(name, templar)) as path:
        content, salt, ident = _read(path) or (fresh, None, None)
        if scheme and not salt:
            salt = new_salt(scheme)
            ident = options["ident"] or ("2b" if scheme == "bcrypt" else None)
        _write(path, content, salt, ident)
    templar.secrets.add(content)
    return hashed(content, scheme, salt, ident=ident) if scheme and salt else content


def _path(name: str, templar: Templar) -> Path:
    path = Path(name).expanduser()
    return path if path.is_absolute() or not templar.search_path else templar.search_path[-1] / path


def _letters(chars: Any) -> str:
    """The characters that a password is made of: names from Python's `string`, and characters themselves."""
    names = _split(chars) if isinstance(chars, str) else [str(each) for each in chars]
    return "".join(getattr(string, name, name) if name.isidentifier() else name for name in names)


def _split(chars: str) -> list[str]:
    """`ascii_letters,digits,,`: a comma itself is written twice."""
    plain = chars.replace(",,", "")
    return ([","] if plain != chars else []) + [name for name in plain.split(",") if name]


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """One process and thread at a time makes the password of a file: hosts ask in parallel."""
    if str(path) == _NOWHERE:
        yield path
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(folder)


def _read(path: Path) -> tuple[str, str | None, str | None] | None:
    """Password, salt and ident in a file."""
    if str(path) == _NOWHERE or not path.exists():
        return None
    content, _, ident = path.read_text(encoding="utf-8").rstrip("\n").partition(" ident=")
    content, _, salt = content.partition(" salt=")
    return content, salt or None, ident or None


def _write(path: Path, content: str, salt: str | None, ident: str | None) -> None:
    if str(path) == _NOWHERE:
        return
    text = content + (f" salt={salt}" if salt else "") + (f" ident={ident}" if ident else "") + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    new = path.with_name(f".{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)
