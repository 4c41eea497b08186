"""Whether a host has what a profile needs: GPUs, their capability, a driver, memory for one of its precisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wxruntime.profile.command import Choice
from wxruntime.profile.engines import engine, least_driver, number
from wxruntime.profile.finding import Finding, doubtful, wrong
from wxruntime.profile.host import Gpu, Host
from wxruntime.profile.memory import KV_FP8_CC, Room, able, instead, room
from wxruntime.profile.model import Precision, Profile
from wxruntime.sizing import GIB, Shape


def against_host(profile: Profile, host: Host) -> Iterator[Finding]:
    """What does not depend on the precision."""
    if profile.engine == "onnx":
        return
    about, gpus = engine(profile.engine), host.same
    if not gpus:
        if about.gpu_needed:
            yield wrong(
                "engine", f"{about.name} needs a GPU, {host.name} has none that works: use onnx or transformers"
            )
        elif profile.engine == "vllm":
            yield doubtful("engine", f"{host.name} has no GPU that works: only a vLLM built for CPUs serves there")
        return
    yield from _count(profile, host, gpus)
    yield from _capability(profile, gpus)
    yield from _driver(profile, host)


def _count(profile: Profile, host: Host, gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    here = profile.gpus // profile.nodes
    key = "tensor_parallel" if profile.tensor_parallel > 1 or profile.pipeline_parallel == 1 else "pipeline_parallel"
    if here > len(gpus):
        other = len(host.gpus) - len(gpus)
        mixed = f" of one kind (and {other} of others, over which a model is not split)" if other else ""
        yield wrong(key, f"{here} GPUs are needed on {host.name}, it has {len(gpus)} x {gpus[0].name}{mixed}")
    if cut := [index for index, gpu in enumerate(gpus) if gpu.mig]:
        listed = ",".join(map(str, cut))
        if here > 1:
            yield wrong(key, f"MIG is on, and instances cannot be joined: nvidia-smi -i {listed} -mig 0")
        else:
            yield doubtful(key, f"MIG is on (GPU {listed}): an instance has a part of the memory only")


def _capability(profile: Profile, gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    about, cc = engine(profile.engine), gpus[0].cc
    if not cc:
        yield doubtful("engine", f"the compute capability of {gpus[0].name} is not known")
        return
    if not about.runs_on(cc):
        wants = f"one of {', '.join(about.cc)}" if about.cc else f"{about.min_cc} or later"
        yield wrong("engine", f"{about.name} has no kernels for {gpus[0].name} ({cc}); it wants {wants}")
    if profile.kv_cache_dtype == "fp8" and number(cc) < number(KV_FP8_CC):
        yield wrong("kv_cache_dtype", f"fp8 needs compute capability {KV_FP8_CC}, {gpus[0].name} has {cc}: use auto")


def _driver(profile: Profile, host: Host) -> Iterator[Finding]:
    about = engine(profile.engine)
    cuda = profile.cuda or about.cuda
    needs = [least for least in (about.driver, least_driver(cuda) if cuda else None) if least]
    least = max(needs, key=number, default=None)
    if least is None:
        return
    key = "cuda" if profile.cuda else "image" if profile.image else "engine"
    if not host.driver:
        yield doubtful(key, f"the driver of {host.name} is not known; it must be {least} or later")
    elif number(host.driver) < number(least):
        older = "" if number(cuda or "0")[0] < 13 else ', or take an image built with CUDA 12 and say so: cuda: "12.9"'
        what = f"{about.name} with CUDA {cuda} needs driver {least} or later, {host.name} has {host.driver}"
        yield wrong(key, f"{what}: `wxops audit plan`{older}")


def choose(
    profile: Profile, shapes: Mapping[Precision, Shape], choices: Mapping[Precision, Choice], host: Host
) -> tuple[Choice, Room] | list[Finding]:
    """The first precision of the profile's list that the GPUs have and that fits, else why none is.

    choices: the precisions that the checkpoints allow, with the shape of each one's checkpoint.
    """
    refused = []
    for precision, choice in choices.items():
        if finding := _precision(profile, precision, host):
            refused.append(finding)
            continue
        found = room(profile, shapes[precision], precision, host)
        if found.fits:
            return choice, found
        refused.append(_too_large(profile, shapes[precision], found, host))
    return refused


def _precision(profile: Profile, precision: Precision, host: Host) -> Finding | None:
    gpus = host.same
    if not gpus or not gpus[0].cc or profile.engine == "onnx":
        return None
    about, cc = engine(profile.engine), gpus[0].cc
    need = about.need(precision)
    if able(need, cc):
        return None
    offered = [each for each in about.online if able(about.need(each), cc)]
    what = f"{precision} needs compute capability {need.or_else_cc or need.min_cc}, {gpus[0].name} has {cc}"
    return wrong("precision", f"{what}: use {' or '.join(offered)}")


def slower(profile: Profile, precision: Precision, host: Host) -> Iterator[Finding]:
    """Where a precision saves memory only."""
    gpus = host.same
    need = engine(profile.engine).need(precision)
    if gpus and gpus[0].cc and need.min_cc and number(gpus[0].cc) < number(need.min_cc):
        what = f"{gpus[0].name} ({gpus[0].cc}) has {precision} for the weights only"
        yield doubtful("precision", f"{what}, which saves memory and not time; {need.min_cc} has it whole")


def _too_large(profile: Profile, shape: Shape, found: Room, host: Host) -> Finding:
    memory, gpus = found.memory, host.same
    where = host.name if found.cpu else f"each {gpus[0].name}"
    what = (
        f"{shape.name} in {found.precision} takes {_gib(memory.weights)} of weights and {_gib(memory.kv)} of KV cache"
    )
    has = f"for {found.tokens:,} tokens on {where}, which has {_gib(memory.free)} for them"
    key = (
        "load"
        if profile.load
        else "max_model_len"
        if memory.weights <= memory.free and profile.max_model_len
        else "precision"
    )
    return wrong(key, f"{what} {has}; what would fit: {instead(profile, shape, found.precision, host)}")


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
