"""Documents as tests read them: their code blocks, links and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
FILE_NAME = re.compile(r"# ([\w./-]+)\n")


@dataclass(frozen=True)
class Block:
    """A code block. `file`: the name in its first line, when that is a comment that names a file."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        found = FILE_NAME.match(self.text)
        return found.group(1) if found else None


@dataclass(frozen=True)
class Step:
    """A command of a console block, and what stands below it."""

    command: str
    shown: str


def blocks(document: str, *languages: str) -> list[Block]:
    found = [Block(*match.groups()) for match in FENCE.finditer((ROOT / document).read_text())]
    return [block for block in found if block.language in languages]


def files(document: str) -> dict[str, str]:
    """The files that a document shows whole."""
    return {block.file: block.text for block in blocks(document, "yaml", "python", "toml") if block.file}


def steps(document: str) -> list[Step]:
    """The commands of all console blocks, in order."""
    found = []
    for block in blocks(document, "console"):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append(Step(command, shown))
    return found


def shell_lines(document: str) -> list[str]:
    """The lines of its sh blocks, without comments."""
    text = "\n".join(block.text for block in blocks(document, "sh"))
    return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()) if line]


def links(document: str) -> list[str]:
    """Where it links to within the repository."""
    found = LINK.findall((ROOT / document).read_text())
    return [target for target in found if "://" not in target]
