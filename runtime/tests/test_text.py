"""What of an answer is shown, and when: whole characters, never a piece of a stop string."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from wxruntime.text import AnswerText


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny / "tokenizer.json"))


def shown(tokenizer: Tokenizer, text: str, *stop: str) -> tuple[list[str], bool]:
    """The pieces that become visible, token by token, and whether a stop string was met."""
    answer = AnswerText(tokenizer, stop)
    pieces = []
    for token in tokenizer.encode(text).ids:
        pieces.append(answer.push(token))
        if answer.stopped:
            break
    return [piece for piece in [*pieces, answer.rest()] if piece], answer.stopped


def test_a_character_of_many_tokens_is_shown_once_it_is_whole(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("龘🐼").ids) == 7
    assert shown(tokenizer, "龘🐼") == (["龘", "🐼"], False)


@pytest.mark.parametrize(
    ("text", "stop", "visible", "stopped"),
    [
        ("abcdef", ("cd",), "ab", True),
        ("abcdef", ("x", "de", "cd"), "ab", True),
        ("abcabd", ("abd",), "abc", True),
        ("aaab", ("aab",), "a", True),
        ("abc", ("cd",), "abc", False),
        ("你好！再见", ("！再",), "你好", True),
        ("abc", ("abc",), "", True),
        ("abc", (), "abc", False),
    ],
)
def test_nothing_of_a_stop_string_is_shown(
    tokenizer: Tokenizer, text: str, stop: tuple[str, ...], visible: str, stopped: bool
) -> None:
    pieces, met = shown(tokenizer, text, *stop)
    assert ("".join(pieces), met) == (visible, stopped)
