"""The time that an engine takes to read a prompt, and its prefix cache: what is held is read in no time."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import Any

BLOCK = 64  # characters; about the 16 tokens of vLLM's blocks


class Prefill:
    """Prompts are read one after the other, as a GPU does that is busy with each; the least recently used blocks go."""

    def __init__(self, characters_a_second: float, pool_characters: int) -> None:
        self._rate, self._capacity = characters_a_second, pool_characters // BLOCK
        self._held: OrderedDict[int, None] = OrderedDict()
        self._turn = asyncio.Lock()

    async def read(self, asked: dict[str, Any], seen: dict[str, Any]) -> None:
        """Take as long as the request's prompt takes; `seen` counts characters asked for and found."""
        text = json.dumps(asked.get("messages") or asked.get("prompt"), ensure_ascii=False)
        blocks, so_far = [], 0
        for start in range(0, len(text) - BLOCK + 1, BLOCK):
            so_far = hash((so_far, text[start : start + BLOCK]))
            blocks.append(so_far)
        async with self._turn:
            found = next((at for at, block in enumerate(blocks) if block not in self._held), len(blocks))
            seen["asked"] += len(text)
            seen["found"] += found * BLOCK
            await asyncio.sleep((len(text) - found * BLOCK) / self._rate)
            for block in reversed(blocks):
                self._held[block] = None
                self._held.move_to_end(block)
            while len(self._held) > self._capacity:
                self._held.popitem(last=False)
