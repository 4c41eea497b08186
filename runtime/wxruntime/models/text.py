"""A text as it is scored, here or over an API: its tokens, and the windows in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from wxruntime.models.errors import ModelError

WINDOW = 512
LEAST_TOKENS = 64


def read_tokenizer(directory: Path) -> Tokenizer:
    """Raise ModelError where there is no tokenizer.json."""
    try:
        return Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # tokenizers raises nothing finer
        raise ModelError(f"the tokenizer cannot be read: {error}", where=directory / "tokenizer.json") from None


def read_ids(path: Path, tokenizer: Tokenizer, most: int) -> list[int]:
    """The first `most` tokens of a text file. Raise ModelError for one that is no text or too short."""
    ids: list[int] = tokenizer.encode(read_text(path, most), add_special_tokens=False).ids
    return first(ids, most, path)


def read_text(path: Path, tokens: int) -> str:
    """At least so many tokens of a file, if it has them. Raise ModelError for one that is no text."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(8 * tokens)  # a token is seldom more than eight characters
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"this text cannot be read: {error}", where=path, fix="name a file in UTF-8") from None


def first(ids: list[int], most: int, path: Path) -> list[int]:
    """The first `most` of these tokens of a file. Raise ModelError where there are too few to say anything."""
    if min(len(ids), most) < LEAST_TOKENS:
        raise ModelError(f"this text has {len(ids)} tokens", where=path, fix="name a text of some thousand tokens")
    return ids[:most]


def windows(ids: Sequence[int], window: int, batch: int) -> Iterator[tuple[list[list[int]], int]]:
    """At most `batch` rows of equal length at a time, and how many tokens at the end of each are to be scored.

    Each window is half over the one before: a token is scored once, with at least half a window before it, save in the
    first window, of which all but the first token count.
    """
    opening = list(ids[:window])
    yield [opening], len(opening) - 1
    step = window // 2
    rows = []
    for end in range(window + step, len(ids) + 1, step):
        rows.append(list(ids[end - window : end]))
        if len(rows) == batch:
            yield rows, step
            rows = []
    if rows:
        yield rows, step
    left = (len(ids) - window) % step if len(ids) > window else 0
    if left:
        yield [list(ids[-window:])], left
