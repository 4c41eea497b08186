"""What engines say of themselves at /metrics: the batch that they reached, who waits there, whether they restarted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wxruntime.gateway.replica import Replica
from wxruntime.gateway.upstream import UpstreamError

# vLLM's and FastDeploy's names end alike. Values of several label sets (one a data-parallel rank) are summed.
_LINE = re.compile(
    rb"^(?:\w+:)?(num_requests_running|num_requests_waiting|process_start_time_seconds)(?:\{[^\n]*\})? (\S+)", re.M
)
LARGEST = 4 * 1024 * 1024


@dataclass(slots=True)
class Load:
    """Of one replica; `most` is the largest batch seen."""

    running: float = 0.0
    waiting: float = 0.0
    most: float = 0.0
    started: float = 0.0


class EngineLoad(Collector):
    """Looks every `seconds`. restarted: called with a replica's URL when it is another process than before."""

    def __init__(
        self,
        registry: CollectorRegistry,
        replicas: Callable[[], Iterable[Replica]],
        seconds: float,
        restarted: Callable[[str], None],
    ) -> None:
        self.loads: dict[str, Load] = {}
        self._replicas, self._seconds, self._restarted = replicas, seconds, restarted
        self._task: asyncio.Task[None] | None = None
        registry.register(self)

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def collect(self) -> Iterable[Metric]:
        families = {
            "running": ("wxops_gateway_engine_batch_size", "Requests in the engine's batch when it was last asked."),
            "most": ("wxops_gateway_engine_batch_size_max", "The largest batch that the engine was seen with."),
            "waiting": ("wxops_gateway_engine_waiting", "Requests that wait in the engine."),
        }
        there = {each.url for each in self._replicas()}  # who has left since the last look is told of no more
        for field, (name, text) in families.items():
            family = GaugeMetricFamily(name, text, labels=["replica"])
            for url, load in self.loads.items():
                if url not in there:
                    continue
                family.add_metric([url], getattr(load, field))
            yield family

    async def _watch(self) -> None:
        while True:
            replicas = {each.url: each for each in self._replicas()}
            await asyncio.gather(*(self.look(each) for each in replicas.values()))
            for url in set(self.loads) - set(replicas):
                del self.loads[url]
            await asyncio.sleep(self._seconds)

    async def look(self, replica: Replica) -> None:
        """Ask once. An engine without /metrics, or one that does not answer now, tells nothing."""
        try:
            connection = await replica.pool.connection(fresh=True)
            try:
                await connection.ask(replica.get(b"/metrics"), b"", self._seconds, self._seconds)
                said = connection.body() if connection.status == 200 else b""
            finally:
                connection.close()
        except UpstreamError:
            return
        self.note(replica.url, said[:LARGEST])

    def note(self, url: str, said: bytes) -> None:
        values: dict[bytes, float] = {}
        for name, value in _LINE.findall(said):
            try:
                values[name] = values.get(name, 0.0) + float(value)
            except ValueError:
                return
        if b"num_requests_running" not in values:
            return
        load = self.loads.setdefault(url, Load())
        load.running = values[b"num_requests_running"]
        load.waiting = values.get(b"num_requests_waiting", 0.0)
        load.most = max(load.most, load.running)
        started = values.get(b"process_start_time_seconds", load.started)
        if load.started and started != load.started:
            self._restarted(url)
        load.started = started
