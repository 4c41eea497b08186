"""Many cases, several at once; each that differs is made smaller before it is told."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from conformance.fuzz.engines import Engine, both
from conformance.fuzz.hosts import Hosts, hosts
from conformance.fuzz.minimise import minimised
from conformance.fuzz.playbooks import Case, random_case
from conformance.fuzz.results import Difference
from conformance.fuzz.trying import Tried, attempt

TRIES = 40  # to make a case smaller


@dataclass(frozen=True)
class Numbered:
    """A case by the number that its seed gave it; smallest: what is left of it when it differs."""

    number: int
    tried: Tried
    smallest: Tried


class Campaign:
    """Engines that wait, so many pairs as cases run at once."""

    def __init__(self, hosts: Hosts, pairs: list[dict[str, Engine]]) -> None:
        self._hosts, self._pairs = hosts, pairs
        self._free: queue.SimpleQueue[dict[str, Engine]] = queue.SimpleQueue()
        for pair in pairs:
            self._free.put(pair)

    def try_one(self, case: Case) -> Tried:
        pair = self._free.get()
        try:
            return attempt(case, self._hosts, pair)
        finally:
            self._free.put(pair)

    def try_all(self, cases: list[tuple[int, Callable[[], Case]]], tries: int = TRIES) -> Iterator[Numbered]:
        """Each as it is done, in no order."""

        def one(number: int, make: Callable[[], Case]) -> Numbered:
            tried = self.try_one(make())
            return Numbered(number, tried, self._smallest(tried, tries) if tried.differences else tried)

        with ThreadPoolExecutor(len(self._pairs)) as pool:
            for done in as_completed([pool.submit(one, *case) for case in cases]):
                yield done.result()

    def _smallest(self, tried: Tried, tries: int) -> Tried:
        best = [tried]

        def differs(case: Case) -> bool:
            found = self.try_one(case)
            if _about(tried.differences[0]) in [_about(each) for each in found.differences]:
                best.append(found)
                return True
            return False

        minimised(tried.case, differs, tries)
        return best[-1]


def _about(difference: Difference) -> tuple[str, str]:
    """What is the same in a smaller case that differs for the same reason: not the place, not the values."""
    return difference.kind, difference.what.partition("[")[0]


@contextlib.contextmanager
def campaign(at_once: int) -> Iterator[Campaign]:
    """A campaign's engines and its place for hosts."""
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(hosts())
        yield Campaign(made, [stack.enter_context(both(made)) for _ in range(at_once)])


def of_seed(seed: int, numbers: range) -> list[tuple[int, Callable[[], Case]]]:
    """The cases of a seed that have these numbers; each drawn when it is needed."""
    return [(number, lambda number=number: random_case(number, seed)) for number in numbers]  # type: ignore[misc]
