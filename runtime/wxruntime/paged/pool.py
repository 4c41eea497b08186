"""Pages of the cache: who holds which, and which still hold a prefix that a new prompt may share.

A page is named by the tokens in it and all before it. A page that nobody holds keeps its name until it is taken for
something else, oldest first.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b


def page_names(tokens: Sequence[int], page: int) -> list[bytes]:
    """The name of each full page of `tokens`; equal names, equal tokens from the start."""
    names, name = [], b""
    words = array("i", tokens).tobytes()
    for start in range(0, len(tokens) // page * page * 4, page * 4):
        name = blake2b(name + words[start : start + page * 4], digest_size=16).digest()
        names.append(name)
    return names


class Pool:
    """Pages 0 to `pages` - 1 of `page` slots each."""

    def __init__(self, pages: int, page: int, share: bool = True) -> None:
        self.pages, self.page, self._share = pages, page, share
        self._holders = [0] * pages
        self._names: list[bytes | None] = [None] * pages
        self._named: dict[bytes, int] = {}
        self._free: dict[int, None] = dict.fromkeys(range(pages))  # in the order in which they are taken

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self) -> int:
        """A page for new tokens; there must be a free one."""
        number = next(iter(self._free))
        del self._free[number]
        name = self._names[number]
        if name is not None:
            del self._named[name]
            self._names[number] = None
        self._holders[number] = 1
        return number

    def give_back(self, numbers: Sequence[int]) -> None:
        """The last page first, so that of a prefix the beginning is kept longest."""
        for number in reversed(numbers):
            self._holders[number] -= 1
            if not self._holders[number]:
                self._free[number] = None

    def hold(self, names: Sequence[bytes]) -> list[int]:
        """Hold the longest run of pages that have these names, from the first on."""
        held: list[int] = []
        for name in names:
            number = self._named.get(name)
            if number is None:
                break
            if not self._holders[number]:
                del self._free[number]
            self._holders[number] += 1
            held.append(number)
        return held

    def name(self, numbers: Sequence[int], names: Sequence[bytes]) -> None:
        """These pages are full; later prompts may share them. A name that another page has stays there."""
        if not self._share:
            return
        for number, name in zip(numbers, names, strict=False):
            if self._names[number] is None and name not in self._named:
                self._names[number], self._named[name] = name, number

    def forget_names(self) -> None:
        self._named.clear()
        self._names = [None] * self.pages
