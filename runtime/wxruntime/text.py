"""From tokens to the text a client may see: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


class AnswerText:
    """The growing text of one answer.

    A Chinese character may span tokens, a stop string too, so a token does not always show text at once.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._tokenizer, self._stop = tokenizer, stop
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that this token makes visible; `stopped` is then true when a stop string was met."""
        text = self._decoder.step(self._tokenizer, token) or ""
        if not self._stop:
            return text
        self._held += text
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._possible_stop())

    def rest(self) -> str:
        """What was held back in case a stop string followed, once it is known that nothing follows."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        return shown

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        lengths = range(min(longest, len(self._held)), 0, -1)
        return next((n for n in lengths if any(s.startswith(self._held[-n:]) for s in self._stop)), 0)
