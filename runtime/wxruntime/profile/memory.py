"""How much memory a profile takes on each GPU, which of its precisions fits, and what would fit if none does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wxruntime.profile.engines import PrecisionNeed, engine, number
from wxruntime.profile.host import Host
from wxruntime.profile.model import Load, Precision, Profile
from wxruntime.sizing import BYTES, GIB, Memory, Shape, on_each

SMALLER: tuple[Precision, ...] = ("bf16", "fp8", "int8", "int4")
MOST_GPUS = 64
# What engines answer at once where nothing is said: vLLM's max_num_seqs and ours on a GPU, ours on a CPU; FastDeploy's
# default (docs/parameters.md), and that of our onnx backend.
SEQUENCES_GPU, SEQUENCES_CPU = 256, 64
FEWER = {"fastdeploy": 8, "onnx": 16}
KV_FP8_CC = "8.9"  # FP8's hardware: wxops/audit/data/compat.yaml, features_by_cc


@dataclass(frozen=True)
class Room:
    """A precision on a host. tokens: of KV cache, that must fit; holds: that do. cpu: it is the host's own memory."""

    precision: Precision
    memory: Memory
    tokens: int
    holds: int
    cpu: bool = False

    @property
    def fits(self) -> bool:
        return self.memory.fits


def tokens(profile: Profile, shape: Shape) -> int:
    """What the KV cache must hold: the load that is expected, and at least one sequence of full length."""
    longest = profile.max_model_len or shape.max_context
    return max(longest, profile.load.sequences * profile.load.tokens) if profile.load else longest


def room(profile: Profile, shape: Shape, precision: Precision, host: Host) -> Room:
    """Whether weights and KV cache fit. Without GPUs it is the host's memory that must hold them."""
    about, gpus = engine(profile.engine), host.same
    kv_bytes = 1 if profile.kv_cache_dtype == "fp8" else 4 if precision == "fp32" or profile.engine == "onnx" else 2
    if gpus and profile.engine != "onnx":
        free = min(gpu.memory for gpu in gpus) * profile.gpu_memory_utilization - about.beside_gib * GIB
    else:
        free = float(host.memory)
    needs = tokens(profile, shape)
    tensor, stages = profile.tensor_parallel, profile.pipeline_parallel
    memory = on_each(shape, precision, needs, tensor=tensor, stages=stages, free=free, kv_bytes=kv_bytes)
    if profile.engine == "onnx" and precision == "int4":  # every matrix once more in bytes: backends/onnx_batch.py
        memory = replace(memory, weights=memory.weights + shape.parameters)
    left = max(free - memory.weights, 0.0)
    return Room(precision, memory, needs, int(left / (memory.kv / needs)), not gpus or profile.engine == "onnx")


def taken(profile: Profile, found: Room, host: Host) -> float:
    """Bytes that a replica takes of each of its devices while it runs: on a GPU all of the share that it may have."""
    if found.cpu:
        return found.memory.weights + found.memory.kv
    return min(gpu.memory for gpu in host.same) * profile.gpu_memory_utilization


def sequences(profile: Profile, found: Room) -> int:
    """How many a replica answers at once: its setting, or the engine's own, and what its cache holds of a load's."""
    own = FEWER.get(profile.engine) or (SEQUENCES_CPU if found.cpu else SEQUENCES_GPU)
    most = profile.max_num_seqs or own
    return min(most, max(1, found.holds // profile.load.tokens)) if profile.load else most


def able(need: PrecisionNeed, cc: str) -> bool:
    """Whether a GPU can serve a precision, if more slowly."""
    least = need.or_else_cc or need.min_cc
    return not cc or least is None or number(cc) >= number(least)


def instead(profile: Profile, shape: Shape, precision: Precision, host: Host) -> str:
    """What would fit, each by itself: more GPUs, a smaller precision, an FP8 cache, shorter or fewer sequences."""
    found = list(_alternatives(profile, shape, precision, host))
    return (
        " or ".join(found)
        if found
        else "nothing of this model fits here: take GPUs with more memory, or a smaller model"
    )


def _alternatives(profile: Profile, shape: Shape, precision: Precision, host: Host) -> Iterator[str]:
    about, gpus = engine(profile.engine), host.same
    cc = gpus[0].cc if gpus else ""
    if gpus and "tensor_parallel" not in about.lacks and (count := _more(profile, shape, precision, host)):
        size = round(min(gpu.memory for gpu in gpus) / GIB)
        yield f"{count} GPUs of {size} GiB (tensor_parallel: {count})"
    smaller = (
        each for each in SMALLER if about.offers(each) and BYTES[each] < BYTES[precision] and able(about.need(each), cc)
    )
    if found := next((each for each in smaller if room(profile, shape, each, host).fits), None):
        yield f"precision: {found}"
    cacheable = "kv_cache_dtype" not in about.lacks and number(cc or "0") >= number(KV_FP8_CC)
    if cacheable and profile.kv_cache_dtype == "auto" and _fits(profile, shape, precision, host, kv_cache_dtype="fp8"):
        yield "kv_cache_dtype: fp8"
    yield from _less(profile, shape, precision, host)


def _more(profile: Profile, shape: Shape, precision: Precision, host: Host) -> int | None:
    """The least tensor parallelism over such GPUs with which it fits."""
    counts = (n for n in range(profile.tensor_parallel + 1, MOST_GPUS + 1) if shape.splits_over(n))
    return next((n for n in counts if _fits(profile, shape, precision, host, tensor_parallel=n)), None)


def _less(profile: Profile, shape: Shape, precision: Precision, host: Host) -> Iterator[str]:
    """Fewer sequences at once where a load is named, else shorter ones: halves, down to one of 1,024 tokens."""
    longest, load = profile.max_model_len or shape.max_context, profile.load
    if load and load.sequences * load.tokens > longest:
        sequences = load.sequences // 2
        while sequences:
            fewer = Load(sequences=sequences, tokens=load.tokens)
            if _fits(profile, shape, precision, host, load=fewer):
                yield f"load.sequences: {sequences}"
                return
            sequences //= 2
    shorter = longest // 2
    while shorter >= 1024:
        fewer = Load(sequences=1, tokens=shorter)
        if _fits(profile, shape, precision, host, max_model_len=shorter, load=fewer if load else None):
            yield f"max_model_len: {shorter}"
            return
        shorter //= 2


def _fits(profile: Profile, shape: Shape, precision: Precision, host: Host, **other: object) -> bool:
    return room(profile.model_copy(update=other), shape, precision, host).fits
