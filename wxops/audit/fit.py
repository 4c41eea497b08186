"""Whether a model fits a host's GPUs: how much memory it takes on each, over how many, and what would fit otherwise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from wxops.audit.demand import Demand, Precision
from wxops.audit.gpu import Gpu
from wxops.audit.record import HostRecord
from wxops.audit.shapes import EngineNeed, catalogue, shape
from wxops.audit.sizing import GIB, Memory, Shape, on_each

SMALLER: tuple[Precision, ...] = ("fp8", "int8", "int4")


@dataclass(frozen=True)
class Fit:
    """What a demand takes. best: over the fewest GPUs on which it fits; tried: all ways that the heads allow."""

    shape: Shape
    engine: EngineNeed
    weights: int
    kv: int
    tried: tuple[Memory, ...]

    @property
    def best(self) -> Memory | None:
        return next((memory for memory in self.tried if memory.fits), None)


def same_gpus(host: HostRecord) -> tuple[Gpu, ...]:
    """The largest group of GPUs of one name: a model is not split over different ones."""
    able = [gpu for gpu in host.gpus if not gpu.lost]
    names = Counter(gpu.name.value for gpu in able)
    return tuple(gpu for gpu in able if gpu.name.value == names.most_common(1)[0][0]) if able else ()


def fit(demand: Demand, memory: int, gpus: int) -> Fit:
    """memory: bytes of the smallest GPU; gpus: how many there are."""
    model, engine = shape(demand.model), catalogue().engine(demand.engine)
    tokens = demand.context * demand.sequences
    free = memory * engine.memory_fraction - engine.beside_gib * GIB
    counts = [demand.gpus] if demand.gpus else range(1, (gpus if engine.splits else min(gpus, 1)) + 1)
    tried = tuple(
        on_each(model, demand.precision, tokens, tensor=count, free=free)
        for count in counts
        if count <= gpus and model.splits_over(count)
    )
    return Fit(model, engine, model.weights(demand.precision), model.kv_per_token * tokens, tried)


def instead(demand: Demand, memory: int, gpus: int, precisions: tuple[Precision, ...]) -> str:
    """The nearest thing that does fit, in words; "" when nothing does. precisions: those that engine and GPU have."""
    if demand.gpus and (more := fit(replace(demand, gpus=None), memory, gpus).best):
        return f"serve it over {more.gpus} GPUs"
    for precision in SMALLER:
        if precision in precisions and (best := fit(replace(demand, precision=precision), memory, gpus).best):
            return f"serve it in {precision}, over {best.gpus} GPU{'s' if best.gpus > 1 else ''}"
    for tokens in _fewer(demand):
        if best := fit(replace(demand, context=tokens[0], sequences=tokens[1]), memory, gpus).best:
            over = f"{best.gpus} GPU{'s' if best.gpus > 1 else ''}"
            return f"serve {tokens[1]} sequences of {tokens[0]} tokens at once, over {over}"
    return ""


def _fewer(demand: Demand) -> list[tuple[int, int]]:
    """Half as many sequences, and so on down to one; then half as long ones, down to 1,024 tokens."""
    fewer = []
    context, sequences = demand.context, demand.sequences
    while sequences > 1 or context > 1024:
        context, sequences = (context, sequences // 2) if sequences > 1 else (max(context // 2, 1024), 1)
        fewer.append((context, sequences))
    return fewer


def enough(demand: Demand, memory: int) -> int | None:
    """Over how many GPUs of this kind it would fit; None when not even over 64."""
    best = fit(replace(demand, gpus=None), memory, 64).best
    return best.gpus if best else None
