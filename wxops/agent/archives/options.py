"""Which members of an archive are unpacked, and under which names: include, exclude, and options of tar and unzip."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Callable, List, Optional, Sequence, Set

    Rename = Callable[[str], str]

PASSED_OVER = frozenset({
    "-v", "--verbose", "-p", "--same-permissions", "--preserve-permissions", "--same-owner", "--overwrite",
    "--show-transformed-names", "--show-stored-names", "--no-overwrite-dir", "-o", "-q", "-qq",
})  # fmt: skip
"""They say what happens anyway, or only how much is printed."""


class Options:
    """What `include`, `exclude` and `extra_opts` ask for."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str], extra: Sequence[str], zipped: bool) -> None:
        if include and exclude:
            raise ModuleFailure("parameters are mutually exclusive: include|exclude")
        self.include, self.exclude, self.zipped = list(include), [name.rstrip("/") for name in exclude], zipped
        self.strip, self.junk, self.numeric, self.keep_owner, self.wildcards = 0, False, False, True, zipped
        self.renames: List[Rename] = []
        self.matched: Set[str] = set()
        words = list(extra)
        while words:
            self._take(words.pop(0), words)

    def _take(self, option: str, rest: List[str]) -> None:
        name, found, value = option.partition("=")
        if name in ("--strip-components", "--strip", "--transform", "--xform", "--exclude") and not self.zipped:
            if not found and not rest:
                raise ModuleFailure("extra_opts: %s needs a value" % name)
            self._valued(name, value if found else rest.pop(0))
        elif option == "--numeric-owner":
            self.numeric = True
        elif option == "--no-same-owner":
            self.keep_owner = False
        elif option == "--wildcards":
            self.wildcards = True
        elif option == "-j" and self.zipped:
            self.junk = True
        elif option not in PASSED_OVER:
            raise ModuleFailure(
                "extra_opts: %s is not known here. Known: --strip-components, --transform, --exclude, --wildcards, "
                "--numeric-owner, --no-same-owner; for zip: -j" % option
            )

    def _valued(self, name: str, value: str) -> None:
        if name == "--exclude":
            self.exclude.append(value.rstrip("/"))
        elif name in ("--transform", "--xform"):
            self.renames.append(substitution(value))
        elif value.isdigit():
            self.strip = int(value)
        else:
            raise ModuleFailure("extra_opts: %s takes a number, not %r" % (name, value))

    def wanted(self, name: str) -> bool:
        name = name.rstrip("/")
        if self.include:
            hits = [pattern for pattern in self.include if self._included(name, pattern.rstrip("/"))]
            self.matched.update(hits)
            return bool(hits)
        return not any(self._excluded(name, pattern) for pattern in self.exclude)

    def missing(self) -> List[str]:
        """What was to be included and is not in the archive."""
        return [pattern for pattern in self.include if pattern not in self.matched]

    def renamed(self, name: str) -> Optional[str]:
        """The member's name on disk; None when stripping leaves nothing of it."""
        if self.junk:
            return None if name.endswith("/") else os.path.basename(name)
        for rename in self.renames:
            name = rename(name)
        parts = [part for part in name.split("/") if part != "."]
        if not self.strip:
            return name or None
        left = "/".join(parts[self.strip :])
        return left if left.strip("/") else None

    def _included(self, name: str, pattern: str) -> bool:
        """tar takes exact names and all below a directory; unzip takes patterns."""
        if self.wildcards:
            return fnmatch.fnmatchcase(name, pattern)
        return name == pattern or name.startswith(pattern + "/")

    def _excluded(self, name: str, pattern: str) -> bool:
        """As tar excludes: from any component on, and all below a directory that matches."""
        parts = name.split("/")
        ends = range(1, len(parts) + 1) if not self.zipped else [len(parts)]
        starts = range(len(parts)) if not self.zipped else [0]
        return any(fnmatch.fnmatchcase("/".join(parts[start:end]), pattern) for end in ends for start in starts)


def substitution(expression: str) -> Rename:
    """tar's `s,REGEXP,REPLACEMENT,FLAGS` as a function; basic regular expressions, extended ones with the flag x."""
    parts = re.split(r"(?<!\\)" + re.escape(expression[1:2]), expression[2:]) if expression[:1] == "s" else []
    if len(parts) != 3 or set(parts[2]) - set("gixrsh"):
        raise ModuleFailure("extra_opts: %r is not of the form s,REGEXP,REPLACEMENT,FLAGS" % expression)
    text, replacement, flags = parts
    if "x" not in flags:
        text = re.sub(
            r"\\?[(){}+?|]", lambda match: match.group()[1:] if len(match.group()) == 2 else "\\" + match.group(), text
        )
    replacement = re.sub(r"(?<!\\)&", r"\\g<0>", replacement).replace("\\&", "&")
    try:
        compiled = re.compile(text, re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise ModuleFailure("extra_opts: %r: %s" % (expression, error)) from None
    return lambda name: compiled.sub(replacement, name, count=0 if "g" in flags else 1)
