"""Serving a model (`--for MODEL --engine ENGINE`): whether engine, precision and memory go with this host's GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.demand import Demand
from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.fit import enough, fit, instead, same_gpus
from wxops.audit.gpu import Gpu
from wxops.audit.knowledge import Knowledge
from wxops.audit.questions import gpus_from
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.shapes import EngineNeed, catalogue, shape
from wxops.audit.sizing import Memory, Shape
from wxops.audit.subjects import NO_GPU, gib, missing, without_gpus
from wxops.audit.tables import Feature
from wxops.audit.versions import Version, version

NO_WORKING_GPU = "this host has no NVIDIA GPU that works"
NOT_ASKED = "no model is to be served (--for MODEL)"
IMAGE = 25 * 2**30  # an engine's image with PyTorch and CUDA: stated, not measured
SOURCE = "wxops/audit/models.yaml"


def asked(host: HostRecord, known: Knowledge) -> tuple[Demand, tuple[Gpu, ...]] | Judgement:
    """What is to be served and on which GPUs, or what is to be said instead."""
    if known.demand is None:
        return skipped("model", NOT_ASKED)
    gpus = same_gpus(host)
    if gpus:
        return known.demand, gpus
    why = without_gpus(host)
    if why is None or why.evidence == NO_GPU:
        return skipped(known.demand.model, f"{NO_WORKING_GPU}, see serving.engine-runs-gpu")
    return why


def named(demand: Demand) -> str:
    return f"{demand.model} with {demand.engine}"


@rule(
    "serving.model-known",
    area="serving",
    severity="warn",
    title="The engine is known to serve this family of models",
    why="An engine that does not know a family refuses the checkpoint, or falls back to a slow path.",
    source=f"{SOURCE}: engines",
)
def model_known(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if known.demand is None:
        yield skipped("model", NOT_ASKED)
        return
    model, engine = shape(known.demand.model), catalogue().engine(known.demand.engine)
    if model.family in engine.families:
        yield passed(named(known.demand), f"{model.family}: {model.parameters / 1e9:.1f} B parameters ({model.source})")
    else:
        others = [each.name for each in catalogue().engines if model.family in each.families]
        fix = f"serve it with {others[0]}" if others else "look whether the engine's newest release knows it"
        yield warned(named(known.demand), f"{model.family} is not among those that it is known to serve", fix)


@rule(
    "serving.engine-runs-gpu",
    area="serving",
    severity="fail",
    title="The engine has kernels for the GPU",
    why="Engines are built for a list of compute capabilities; on others they refuse to start.",
    source=f"{SOURCE}: engines; compat.yaml: runtimes",
)
def engine_runs_gpu(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement) and found.evidence.startswith(NO_WORKING_GPU):
        yield failed(found.subject, NO_WORKING_GPU, "serve it on a host with GPUs")
        return
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    engine, reading = catalogue().engine(demand.engine), gpus[0].compute_capability
    cc, name = version(reading.value), gpus[0].name.value or "GPU"
    if cc is None:
        yield missing(name, reading, "its compute capability")
    elif engine.runs_on(cc):
        yield passed(name, f"{engine.name} runs on compute capability {cc}")
    else:
        wants = f"one of {', '.join(map(str, engine.cc))}" if engine.cc else f"{engine.min_cc} or later"
        able = [each.name for each in catalogue().engines if each.runs_on(cc) and each is not engine]
        least = min(engine.cc) if engine.cc else engine.min_cc
        such = gpus_from(known, least) if least else ""
        fix = f"serve it with {able[0]}" if able else f"use a GPU of compute capability {wants}{such}"
        yield failed(name, f"compute capability {cc}, {engine.name} wants {wants}", fix)


@rule(
    "serving.precision",
    area="serving",
    severity="fail",
    title="GPU and engine have the precision",
    why="FP8 needs Ada or Hopper, bf16 Ampere; without it the engine refuses, or computes more slowly in another one.",
    source=f"{SOURCE}: engines.precisions; compat.yaml: features_by_cc",
)
def precision(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    subject = f"{demand.precision} on {gpus[0].name.value or 'GPU'}"
    engine, cc = catalogue().engine(demand.engine), version(gpus[0].compute_capability.value)
    need = engine.needs(demand.precision)
    if cc is None:
        yield missing(subject, gpus[0].compute_capability, "its compute capability")
    elif need is None:
        offered = ", ".join(each.precision for each in engine.precisions)
        yield failed(subject, f"{engine.name} has {offered}", f"serve it in {engine.precisions[0].precision}")
    else:
        feature, other = _feature(known, need.feature), _feature(known, need.or_else)
        if feature is None or cc >= feature.min_cc:
            yield passed(subject, f"{engine.name} has it" + (f", from {feature.min_cc} on" if feature else ""))
        elif other and cc >= other.min_cc:
            evidence = f"compute capability {cc}: only the weights, which saves memory and not time ({other.feature})"
            such = f"{feature.min_cc} or later{gpus_from(known, feature.min_cc)}"
            yield warned(subject, evidence, f"use a GPU of compute capability {such} for its speed")
        else:
            able = ", ".join(_precisions(known, engine, cc)) or "none"
            evidence = f"compute capability {cc}, {need.feature} starts with {feature.min_cc}"
            yield failed(subject, evidence, f"serve it in one of: {able}", feature.certain)


def _feature(known: Knowledge, name: str) -> Feature | None:
    return next((row for row in known.tables.features if row.feature == name), None)


def _precisions(known: Knowledge, engine: EngineNeed, cc: Version) -> list[str]:
    """Those of an engine that the GPU has the hardware for."""
    return [
        need.precision
        for need in engine.precisions
        if (feature := _feature(known, need.feature)) is None or cc >= feature.min_cc
    ]


@rule(
    "serving.fits",
    area="serving",
    severity="fail",
    title="Weights and KV cache fit the host's GPUs",
    why="Too little memory shows only when the engine starts, or as requests that wait for room in the KV cache.",
    source=f"{SOURCE}: models, weights, engines",
)
def fits(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    sizes = [gpu.memory_total.value for gpu in gpus if gpu.memory_total.value]
    if len(sizes) < len(gpus):
        silent = next(gpu for gpu in gpus if not gpu.memory_total.value)
        yield missing(f"GPU {silent.index}", silent.memory_total, "its memory")
        return
    memory = min(sizes)
    result = fit(demand, memory, len(gpus))
    said = (
        f"weights {gib(result.weights)} in {demand.precision}, KV cache {gib(result.kv)} for {demand.sequences} x "
        f"{demand.context} tokens of {result.shape.kv_per_token:,} B, {result.engine.beside_gib:g} GiB beside on each"
    )
    kind = f"{gpus[0].name.value or 'GPU'}, {gib(memory)} of which {result.engine.memory_fraction:.0%} are used"
    if best := result.best:
        each = f"{gib(best.weights + best.kv)} of {gib(best.free)}"
        yield passed(named(demand), f"{said}: over {best.gpus} of {len(gpus)} ({kind}), {each} on each")
        return
    cc = version(gpus[0].compute_capability.value)
    able = _precisions(known, result.engine, cc) if cc else []
    tuple_of = tuple(each.precision for each in result.engine.precisions if each.precision in able)
    number = enough(demand, memory)
    fix = instead(demand, memory, len(gpus), tuple_of)
    fix = fix or (f"use {number} such GPUs" if number else "use GPUs with more memory")
    yield failed(named(demand), f"{said}: not over {demand.gpus or len(gpus)} ({kind})", fix)


@rule(
    "serving.splits",
    area="serving",
    severity="fail",
    title="The model can be split over so many GPUs",
    why="Tensor parallelism gives each GPU the same number of attention heads; other numbers are refused at start.",
    source=f"{SOURCE}: models; vLLM --tensor-parallel-size",
)
def splits(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    model, engine = shape(demand.model), catalogue().engine(demand.engine)
    able = [n for n in range(1, len(gpus) + 1) if model.splits_over(n) and (engine.splits or n == 1)]
    heads = f"{model.heads} heads, {model.kv_heads} of keys and values"
    if demand.gpus is None:
        yield passed(named(demand), f"{heads}: over {', '.join(map(str, able))} of {len(gpus)}")
    elif demand.gpus > len(gpus):
        yield failed(named(demand), f"{demand.gpus} GPUs are asked for, {len(gpus)} are here", f"ask for {able[-1]}")
    elif demand.gpus not in able:
        why = heads if engine.splits else f"{engine.name} serves from one GPU"
        near = max(n for n in able if n <= demand.gpus)
        yield failed(named(demand), f"{why}: not over {demand.gpus}", f"ask for {near}")
    else:
        yield passed(named(demand), f"{heads}: over {demand.gpus}")


@rule(
    "serving.mig-off",
    area="serving",
    severity="fail",
    title="MIG is off on the GPUs that serve",
    why="A MIG instance has a part of the memory, and instances cannot be joined for tensor parallelism.",
    source="NVIDIA MIG User Guide, Application Considerations",
)
def mig_off(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    on = [gpu for gpu in gpus if gpu.mig.value and gpu.mig.value.current]
    silent = [gpu for gpu in gpus if gpu.mig.state == "unknown"]
    if on:
        listed = ", ".join(str(gpu.index) for gpu in on)
        fix = f"nvidia-smi -i {listed.replace(' ', '')} -mig 0"
        needs = demand.gpus or (best.gpus if (best := _best(demand, gpus)) else None)
        whole = "and the model needs several GPUs" if needs != 1 else "an instance has a part of the memory only"
        yield (failed if needs != 1 else warned)(f"GPU {listed}", f"MIG is on, {whole}", fix)
    elif silent:
        yield missing(f"GPU {silent[0].index}", silent[0].mig, "MIG")
    else:
        yield passed("GPUs", "MIG is off")


def _best(demand: Demand, gpus: tuple[Gpu, ...]) -> Memory | None:
    sizes = [gpu.memory_total.value for gpu in gpus if gpu.memory_total.value]
    return fit(demand, min(sizes), len(gpus)).best if sizes else None


@rule(
    "serving.joined",
    area="serving",
    severity="warn",
    title="GPUs over which a model is split are joined by NVLink",
    why="Each layer exchanges its results twice; over PCIe that can take longer than the computing.",
    source="vLLM documentation, Parallelism and Scaling",
)
def joined(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = asked(host, known)
    if isinstance(found, Judgement):
        yield found
        return
    demand, gpus = found
    best = _best(demand, gpus)
    if best is None:
        yield skipped(named(demand), "it does not fit, see serving.fits")
    elif (demand.gpus or best.gpus) == 1:
        yield skipped(named(demand), "one GPU is enough")
    elif any(link.active for gpu in gpus for link in gpu.nvlinks.value or ()):
        yield passed(named(demand), "NVLink is up")
    elif any(gpu.nvlinks.state == "unknown" for gpu in gpus):
        yield undetermined(named(demand), "whether NVLink is up could not be read")
    else:
        fix = "use GPUs with NVLink, or a smaller precision on one GPU"
        yield warned(named(demand), f"over {demand.gpus or best.gpus} GPUs that are joined by PCIe only", fix)


@rule(
    "serving.context",
    area="serving",
    severity="fail",
    title="The context is within the model's",
    why="Beyond the positions that a model was trained for, engines refuse to start.",
    source=f"{SOURCE}: models (max_position_embeddings)",
)
def context(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if known.demand is None:
        yield skipped("model", NOT_ASKED)
        return
    model: Shape = shape(known.demand.model)
    said = f"{known.demand.context} tokens, the model has {model.max_context}"
    if known.demand.context > model.max_context:
        yield failed(named(known.demand), said, f"ask for {model.max_context} or fewer")
    else:
        yield passed(named(known.demand), said)


@rule(
    "serving.disk",
    area="serving",
    severity="warn",
    title="The disk has room for the checkpoint and the engine's image",
    why="A checkpoint is kept in 16 bits, also when it is served in fewer; a full disk stops Docker for all.",
    source=f"{SOURCE}: models; an image of {IMAGE // 2**30} GiB is assumed",
)
def disk(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if known.demand is None:
        yield skipped("model", NOT_ASKED)
        return
    needs = shape(known.demand.model).weights("bf16") + IMAGE
    roomiest = max(host.disks, key=lambda each: each.free, default=None)
    if roomiest is None:
        yield undetermined("disks", "none is known")
    elif roomiest.free < needs:
        said = f"{gib(roomiest.free)} free, {gib(needs)} are needed if nothing of it is there yet"
        yield warned(roomiest.mount, said, f"free {gib(needs - roomiest.free)}, or mount a larger disk")
    else:
        yield passed(roomiest.mount, f"{gib(roomiest.free)} free, {gib(needs)} are needed")


@rule(
    "serving.host-memory",
    area="serving",
    severity="warn",
    title="The host's memory holds the weights while they are loaded",
    why="With less memory than weights, loading reads them from disk more than once and takes many times longer.",
    source=f"{SOURCE}: models, weights",
)
def host_memory(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if known.demand is None:
        yield skipped("model", NOT_ASKED)
        return
    needs, have = shape(known.demand.model).weights(known.demand.precision), host.system.memory_available
    if not have:
        yield undetermined("host", "how much memory is available could not be read")
    elif have < needs:
        said = f"{gib(have)} available, the weights are {gib(needs)}"
        yield warned("host", said, f"free or add {gib(needs - have)} of memory")
    else:
        yield passed("host", f"{gib(have)} available, the weights are {gib(needs)}")
