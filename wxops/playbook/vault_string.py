"""Encrypted values as they stand in a YAML file: `name: !vault |` and the vault text below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

INDENT = " " * 10  # ansible-vault's


@dataclass(frozen=True, slots=True)
class Named:
    """A string to encrypt, the variable that it is of, and where it came from."""

    text: str = field(repr=False)
    name: str | None
    source: str

    def comment(self, number: int) -> str:
        """What tells several of them apart."""
        return f"# string {number}, from {self.source}{': ' + self.name if self.name else ''}"


def named_strings(names: Sequence[str], strings: Sequence[str]) -> list[Named]:
    """The strings of a command line, each with the name given for it; those left over have none."""
    padded = [*names, *[None] * len(strings)]
    return [Named(text, name, "the command line") for text, name in zip(strings, padded, strict=False)]


def as_yaml(vault_text: str, name: str | None) -> str:
    """A vault text as YAML."""
    head = f"{name}: !vault |" if name else "!vault |"
    return "\n".join([head, *(INDENT + line for line in vault_text.splitlines()), ""])
