"""Which replica holds the longest prefix of a prompt in its KV cache, learned from what was sent where.

A prompt is a chain of hashes of equal pieces of its text, so no tokenizer is needed and two prompts share hashes
exactly as far as they share their beginning. For each replica the chains that it was sent are kept, least recently used
first out, up to about what its KV cache holds. A prompt goes to the replica that holds most of it, unless that one has
so many more requests in flight than the idlest that waiting would cost more than reading the prompt again: then to the
idlest, which holds the prefix from there on. So a prefix that everybody asks for spreads by itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Chain = Sequence[int]

# About 60 tokens of English, 150 of Chinese. Shorter pieces find little more, and each costs time.
PIECE_CHARACTERS = 256
# What lies behind half a million characters does not decide where a prompt goes.
MOST_PIECES = 2048


@dataclass(frozen=True, slots=True)
class Balance:
    """When load outweighs a prefix. The two bounds are those of vllm-router: both must be passed.

    absolute: requests in flight that a replica may have above the idlest one.
    relative: and times as many.
    least_share: a prefix that is a smaller share of the prompt does not decide where it goes.
    """

    absolute: int = 4
    relative: float = 1.5
    least_share: float = 0.1

    def overloaded(self, load: int, least: int) -> bool:
        return load - least > self.absolute and load > self.relative * least


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to send a prompt, how many of its pieces are there; spilled: a holder was passed over for its load."""

    replica: str
    held: int
    spilled: bool = False


@dataclass(slots=True)
class PrefixRouter:
    """What each replica was sent, for one model.

    pieces_per_replica: how many pieces are remembered for each; a piece is PIECE_CHARACTERS of text.
    """

    balance: Balance = field(default_factory=Balance)
    pieces_per_replica: int = 50_000
    _held: dict[str, OrderedDict[int, None]] = field(default_factory=dict)
    _turn: int = 0

    def choose(self, chain: Chain, loads: Mapping[str, int]) -> Choice:
        """The replica for a prompt among those of `loads`, which says how many requests each has in flight."""
        if not loads:
            raise ValueError("no replica to choose from")
        least = min(loads.values())
        needed = max(1, self.balance.least_share * len(chain))
        best, most, passed_over = None, 0, False
        for replica, load in loads.items():
            held = self.held(chain, replica)
            if held < needed:
                continue
            if self.balance.overloaded(load, least):
                passed_over = True
            elif held > most or (held == most and best is not None and load < loads[best]):
                best, most = replica, held
        if best is None:
            best = self._idlest(loads)
            most = self.held(chain, best)
        return Choice(best, most, passed_over)

    def held(self, chain: Chain, replica: str) -> int:
        """How many leading pieces of the chain the replica holds."""
        pieces = self._held.get(replica)
        if not pieces:
            return 0
        # A piece is never forgotten before those that follow it, so what is held has one end: halve towards it.
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high + 1) // 2
            if chain[middle - 1] in pieces:
                low = middle
            else:
                high = middle - 1
        return low

    def learn(self, chain: Chain, replica: str) -> None:
        """The replica was sent this prompt, so it holds it now."""
        pieces = self._held.setdefault(replica, OrderedDict())
        for piece in reversed(chain[: self.pieces_per_replica]):  # the first one last: it is to be forgotten last
            pieces[piece] = None
            pieces.move_to_end(piece)
        for _ in range(len(pieces) - self.pieces_per_replica):
            pieces.popitem(last=False)

    def forget(self, replica: str) -> None:
        """The replica restarted or is gone: it holds nothing."""
        self._held.pop(replica, None)

    @property
    def pieces(self) -> Mapping[str, int]:
        """How many pieces are remembered of each replica."""
        return {replica: len(pieces) for replica, pieces in self._held.items()}

    def _idlest(self, loads: Mapping[str, int]) -> str:
        """The least loaded; among equals the one that holds least, then in turn."""
        self._turn += 1
        names = list(loads)
        turn = self._turn % len(names)
        names = names[turn:] + names[:turn]
        return min(names, key=lambda name: (loads[name], len(self._held.get(name, ()))))


def chain(text: str, *, start: Hashable = None) -> list[int]:
    """The hashes of the text's whole pieces, each over all text up to its end; `start`: what the text is read under."""
    so_far = hash(start)
    hashes = []
    for end in range(PIECE_CHARACTERS, min(len(text), MOST_PIECES * PIECE_CHARACTERS) + 1, PIECE_CHARACTERS):
        so_far = hash((so_far, text[end - PIECE_CHARACTERS : end]))
        hashes.append(so_far)
    return hashes


def prompt_text(body: Mapping[str, Any]) -> str:
    """The text that a request's prompt begins with, in the order in which chat templates write it.

    Not what the template makes: only equal beginnings have to stay equal, and different ones different.
    """
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    if prompt is not None:
        return repr(prompt)  # token ids
    parts = [repr(body["tools"])] if body.get("tools") else []
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        parts.append(str(message.get("role")))
        parts.append(content if isinstance(content, str) else repr(content))
        if message.get("tool_calls"):
            parts.append(repr(message["tool_calls"]))
    return "\x1e".join(parts)
