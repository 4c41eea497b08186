"""The picker that sends a call to the replica that holds its prompt's beginning: prefix.py, for calls and replicas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.breaker import State
from wxruntime.gateway.exchange import Call
from wxruntime.gateway.pipeline import Observer
from wxruntime.gateway.prefix import PIECE_CHARACTERS, Balance, Chain, PrefixRouter, chain, prompt_text
from wxruntime.gateway.replica import Replica


class _Prompt(msgspec.Struct):
    prompt: Any = None
    messages: Any = None
    tools: Any = None


class PrefixPicker(Observer):
    """Learns from every call that is routed; a replica whose breaker opens is taken to have lost what it held."""

    def __init__(self, settings: config.Routing) -> None:
        self.settings = settings
        balance = Balance(settings.absolute, settings.relative, settings.least_share)
        self.router = PrefixRouter(balance, max(1, settings.characters_per_replica // PIECE_CHARACTERS))
        self.asked = self.found = self.spilled = 0  # pieces of prompts; calls that went elsewhere for load
        self._decoder = msgspec.json.Decoder(_Prompt)
        self._last: tuple[Call | None, Chain] = (None, ())

    def pick(self, call: Call, among: Sequence[Replica]) -> Replica:
        choice = self.router.choose(self._chain(call), {each.url: each.running for each in among})
        self.spilled += choice.spilled
        return next(each for each in among if each.url == choice.replica)

    def routed(self, call: Call, replica: Replica) -> None:
        if self._last[0] is not call:
            return  # there was no choice, so there is nothing to learn for the next one
        pieces = self._chain(call)
        self.asked += len(pieces)
        self.found += self.router.held(pieces, replica.url)
        self.router.learn(pieces, replica.url)

    def breaker(self, replica: Replica, before: State, after: State) -> None:
        if after == "open":
            self.router.forget(replica.url)

    def keep_only(self, urls: Collection[str]) -> None:
        """Forget replicas that the configuration does not name any more."""
        for url in set(self.router.pieces) - set(urls):
            self.router.forget(url)

    def _chain(self, call: Call) -> Chain:
        """A call is picked for and routed at once, so the last chain is kept."""
        if self._last[0] is not call:
            fields = self._decoder.decode(call.body)
            prompt = {"prompt": fields.prompt, "messages": fields.messages, "tools": fields.tools}
            self._last = call, chain(prompt_text(prompt), start=call.model)
        return self._last[1]
