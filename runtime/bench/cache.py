"""How much faster a repeated question is than the first, and what one flight saves when many ask the same at once.

python bench/cache.py             # a mock engine: 20 ms to the first token, 5 ms a token, 64 tokens
python bench/cache.py --engine http://127.0.0.1:8000 --model NAME    # a real one
python bench/cache.py --serve DIRECTORY    # our engine, started for the while with this checkpoint
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import stand

QUESTIONS, REPEATS, AT_ONCE = 20, 25, 50


def question(model: str, number: int, **more: Any) -> dict[str, Any]:
    asked = f"Question {number}: why does a repeated question not need a GPU?"
    message = {"role": "user", "content": asked}
    return {"model": model, "temperature": 0, "max_tokens": 64, "messages": [message]} | more


async def repeated(port: int, model: str, stream: bool) -> tuple[list[float], list[float]]:
    """Seconds to the whole answer: of the first time each question is asked, and of the times after."""
    client = stand.Client(port)
    firsts, hits = [], []
    for number in range(QUESTIONS):
        asked = question(
            model, number + stream * QUESTIONS, stream=stream
        )  # whole answers would be hits of streams, too
        first = await client.ask(asked)
        assert (first.status, first.cache) == (200, "MISS"), first
        firsts.append(first.whole)
        for _ in range(REPEATS):
            again = await client.ask(asked)
            assert again.cache == "HIT" and again.body == first.body, "not the same answer, byte for byte"
            hits.append(again.whole)
    client.close()
    return firsts, hits


async def at_once(port: int, model: str) -> list[stand.Answer]:
    clients = [stand.Client(port) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(each.ask(question(model, 10_000, stream=True)) for each in clients))
    for each in clients:
        each.close()
    return list(answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", help="URL of a real engine")
    parser.add_argument("--model", default="mock")
    parser.add_argument("--serve", type=Path, help="a checkpoint for an engine of its own")
    options = parser.parse_args()
    real = bool(options.engine or options.serve)
    if options.engine:
        source: AbstractContextManager[str] = nullcontext(options.engine)
    elif options.serve:
        source = stand.served(options.serve, options.model)
    else:
        source = stand.engine(tokens=64, first=0.02, between=0.005)
    with source as url:
        models = [{"name": options.model, "replicas": [{"url": url}]}]
        # A probe waits its turn at a real engine that fifty ask: it is not out for that.
        with stand.gateway([url], models=models, cache={}, health={"timeout_seconds": 60}) as port:
            print(stand.header(), end="\n\n")
            print(f"{'':10}{'first p50':>12}{'repeated p50':>14}{'p99':>10}{'times faster':>14}")
            for name, stream in (("whole", False), ("stream", True)):
                firsts, hits = asyncio.run(repeated(port, options.model, stream))
                first, hit = stand.quantile(firsts, 0.5), stand.quantile(hits, 0.5)
                slowest = stand.quantile(hits, 0.99)
                print(
                    f"{name:10}{first * 1000:9.1f} ms{hit * 1000:11.2f} ms{slowest * 1000:7.2f} ms{first / hit:13.0f}x"
                )
            before = json.loads(stand.fetch(url + "/seen"))["requests"] if not real else None
            answers = asyncio.run(at_once(port, options.model))
            assert len({each.body for each in answers}) == 1
            print(
                f"\n{AT_ONCE} clients ask the same at once: last answer after {max(a.whole for a in answers):.3f} s",
                end="",
            )
            if before is not None:
                print(
                    f", the engine was asked {json.loads(stand.fetch(url + '/seen'))['requests'] - before} time(s)",
                    end="",
                )
            print()


if __name__ == "__main__":
    main()
