"""Prefix-affine routing over four replicas against round robin and the least busy: hit rate and time to first token.

Conversations of several turns, all at the same time. Some share a system prompt, and each turn sends all
that was said before. The engines are mocks that read prompts at a fixed rate, one after the other, but for what their
prefix cache holds, which is too small for all conversations together.

    python bench/prefix.py
    python bench/prefix.py --engines http://a:8000,http://b:8000 --model NAME    # real, by their own metrics
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import stand

REPLICAS, SESSIONS, TURNS, PAUSE = 4, 48, 6, 1.0  # seconds at most between two turns
SYSTEM, TURN = 3000, 900  # characters
READ, POOL = 30_000, 100_000  # characters a second of a replica, and in its prefix cache
VLLM_HITS = re.compile(rb"^vllm:prefix_cache_(queries|hits)(?:_total)?(?:\{[^\n]*\})? (\S+)", re.M)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one policy."""

    hit_rate: float
    first: list[float]  # seconds to the first token
    seconds: float
    busiest: float  # share of the requests that the busiest replica got; 0.25 is even


def talks(seed: int) -> list[tuple[int, list[str]]]:
    """Each conversation: which system prompt it has, and what its user says."""
    dice = random.Random(seed)

    def words(count: int) -> str:
        return "".join(dice.choices("abcdefghij     ", k=count))

    return [(number % 6, [words(TURN) for _ in range(TURNS)]) for number in range(SESSIONS)]


async def measure(port: int, model: str, seed: int) -> tuple[list[float], float]:
    systems = ["".join(random.Random(seed + at).choices("klmnopq    ", k=SYSTEM)) for at in range(6)]
    firsts: list[float] = []

    async def session(number: int, system: int, turns: list[str]) -> None:
        client = stand.Client(port)
        messages: list[dict[str, str]] = [{"role": "system", "content": systems[system]}]
        pauses = random.Random(seed * 1000 + number)
        await asyncio.sleep(pauses.random())
        for turn in turns:
            messages.append({"role": "user", "content": turn})
            asked: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 4, "stream": True}
            answer = await client.ask(asked)
            assert answer.status == 200, answer
            firsts.append(answer.first)
            messages.append({"role": "assistant", "content": "w0 w1 w2 w3 "})
            await asyncio.sleep(pauses.random() * PAUSE)
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(session(number, *each) for number, each in enumerate(talks(seed))))
    return firsts, time.perf_counter() - began


def counts(urls: list[str], real: bool) -> list[tuple[float, float, float]]:
    """Of each replica: what it was asked to read, what of it was there, and its requests."""
    told = []
    for url in urls:
        if real:
            said = dict(VLLM_HITS.findall(stand.fetch(url + "/metrics")))
            told.append((float(said.get(b"queries", 0)), float(said.get(b"hits", 0)), 0.0))
        else:
            seen = json.loads(stand.fetch(url + "/seen"))
            told.append((seen["asked"], seen["found"], seen["requests"]))
    return told


def run(policy: str, given: list[str], model: str, seed: int) -> Result:
    fresh = stand.engines(REPLICAS, tokens=4, between=0.005, read=READ, pool=POOL)
    with nullcontext(given) if given else fresh as urls:
        models = [{"name": model, "replicas": [{"url": url} for url in urls]}]
        with stand.gateway(urls, models=models, routing={"policy": policy}) as port:
            before = counts(urls, bool(given))
            firsts, seconds = asyncio.run(measure(port, model, seed))
            changes = [
                [b - a for a, b in zip(*pair, strict=True)]
                for pair in zip(before, counts(urls, bool(given)), strict=True)
            ]
    asked, found, requests = (sum(each[at] for each in changes) for at in range(3))
    busiest = max(each[2] for each in changes) / requests if requests else 0.0
    return Result(found / asked if asked else 0.0, firsts, seconds, busiest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="", help="URLs of real engines, separated by commas")
    parser.add_argument("--model", default="mock")
    options = parser.parse_args()
    given = [each for each in options.engines.split(",") if each]
    print(stand.header())
    print(f"\n{len(given) or REPLICAS} replicas, {SESSIONS} conversations of {TURNS} turns\n")
    print(f"{'routing':14}{'hit rate':>9}{'first token mean':>18}{'p50':>9}{'p99':>9}{'all in':>9}{'busiest':>9}")
    # Another seed each time for real engines, which remember what the policy before has taught them.
    for seed, policy in enumerate(("round_robin", "least_busy", "prefix")):
        result = run(policy, given, options.model, seed if given else 1)
        first = [each * 1000 for each in result.first]
        print(
            f"{policy:14}{result.hit_rate:9.1%}{sum(first) / len(first):15.0f} ms{stand.quantile(first, 0.5):6.0f} ms"
            f"{stand.quantile(first, 0.99):6.0f} ms{result.seconds:7.1f} s{result.busiest:9.0%}"
        )


if __name__ == "__main__":
    main()
