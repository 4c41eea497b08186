"""A sequence that a paged backend has taken in, and how far it is."""

from __future__ import annotations

from wxruntime.backends.base import Sequence
from wxruntime.paged.pool import page_names


class Run:
    """Counts are in tokens.

    tokens:   the prompt and what has been told of the answer.
    read:     of them, how many are in the cache or on their way there.
    drawn:    of the answer, with those still in flight.
    told:     of the answer.
    scored:   of the prompt, whose likelihoods were told or are in flight, where they are asked for; its first has none.
    row:      where it runs, or None.
    over:     it has ended or was dropped; what is still in flight for it is thrown away.
    """

    __slots__ = (
        "_named",
        "cached",
        "drawn",
        "id",
        "most",
        "over",
        "pages",
        "read",
        "row",
        "scored",
        "sequence",
        "started",
        "stops",
        "tokens",
        "told",
    )

    def __init__(self, sequence: Sequence) -> None:
        self.sequence, self.id = sequence, sequence.id
        self.most, self.stops = sequence.sampling.max_tokens, sequence.sampling.stop_tokens
        self.tokens = list(sequence.prompt)
        self.pages: list[int] = []
        self.read = self.cached = self.drawn = self.told = self.scored = 0
        self.row: int | None = None
        self.over = self.started = False
        self._named: tuple[int, list[bytes]] = 0, []

    def names(self, page: int) -> list[bytes]:
        """Of the full pages before its newest token; kept, since who waits for pages is asked at every step."""
        if self._named[0] != len(self.tokens):
            self._named = len(self.tokens), page_names(self.tokens[:-1], page)
        return self._named[1]

    @property
    def shares(self) -> bool:
        """Whether it may begin with pages that others have read: of those there are no logits."""
        return self.sequence.sampling.prompt_logprobs is None

    @property
    def position(self) -> int:
        """Where the next step writes: of the newest token, in flight or told."""
        return len(self.tokens) + self.drawn - self.told - 1
