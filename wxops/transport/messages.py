"""A task as messages: one for all its items, and more where so many bytes would not fit into one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wxops.agent import wire

LARGE = 4 * 1024 * 1024
"""Bytes of arguments after which the next item starts another message: the round trip is lost among them."""


def task_messages(
    module: str, items: Sequence[Mapping[str, Any]], task: Mapping[str, Any]
) -> Iterator[tuple[int, bytes]]:
    """(index of the first item, TASK frame). A single item may still be larger than a frame can be: see `too_large`."""
    about, first, size = _json({"module": module, **task}), 0, 0
    texts: list[str] = []
    for index, item in enumerate(items):
        text = _json(item)
        if texts and size + len(text) > LARGE:
            yield first, _frame(about, texts)
            first, size, texts = index, 0, []
        texts.append(text)
        size += len(text)
    yield first, _frame(about, texts)


def too_large(frame: bytes) -> dict[str, Any] | None:
    """The result of an item that fits into no frame; None if it does."""
    size = len(frame) - wire.HEADER.size
    if size <= wire.MAX_PAYLOAD:
        return None
    message = f"its arguments of {size >> 20} MiB do not fit into a message ({wire.MAX_PAYLOAD >> 20} MiB)"
    return {"changed": False, "failed": True, "msg": f"{message}: put what is large into a file, and name that"}


def _frame(about: str, items: Sequence[str]) -> bytes:
    return wire.pack(wire.TASK, f'{{"items":[{",".join(items)}],{about[1:]}'.encode())


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
