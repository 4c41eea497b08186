"""Whether a checkpoint can be served as a profile says: family, splits, context, precision, MTP."""

from __future__ import annotations

from collections.abc import Iterator

from wxruntime.profile.checkpoints import Model
from wxruntime.profile.command import Choice
from wxruntime.profile.engines import engine
from wxruntime.profile.finding import Finding, doubtful, wrong
from wxruntime.profile.model import Precision, Profile
from wxruntime.sizing import Shape

# vLLM's ernie_mtp makes a predictor of this family only (config/speculative.py of 0.32.0).
MTP_FAMILY = "ernie4_5_moe"
THINKS, CALLS = ("<think>", "</think>"), ("<tool_call>", "</tool_call>")
# onnxruntime-genai's builder goes by this name of the dense models' class (0.13.0 and later).
ONNX_CLASS = "Ernie4_5ForCausalLM"


def against_model(profile: Profile, model: Model) -> Iterator[Finding]:
    """What does not depend on the precision. model: the one that `model` names."""
    shape = model.shape
    yield from _family(profile, model)
    yield from _splits(profile, shape)
    if profile.max_model_len and profile.max_model_len > shape.max_context:
        yield wrong("max_model_len", f"{profile.max_model_len} tokens, {shape.name} was made for {shape.max_context}")
    if profile.load and profile.load.tokens > shape.max_context:
        yield wrong("load.tokens", f"{profile.load.tokens} tokens, {shape.name} was made for {shape.max_context}")
    if profile.speculative and profile.engine == "vllm":
        yield from _mtp(model)
    yield from _parsers(profile, model)


def _family(profile: Profile, model: Model) -> Iterator[Finding]:
    shape, about = model.shape, engine(profile.engine)
    if shape.family not in about.families:
        known = ", ".join(about.families)
        if "ernie4_5_moe" not in about.families and shape.experts:
            yield wrong("engine", f"{about.name} serves dense models only, {shape.name} has experts: use transformers")
        else:
            yield wrong(
                "engine", f"{about.name} is not known to serve {shape.family} ({shape.name}); it serves {known}"
            )
    elif profile.engine == "onnx" and model.architecture not in ("", ONNX_CLASS):
        yield wrong("engine", f"{shape.name} says it is a {model.architecture}; onnxruntime-genai exports {ONNX_CLASS}")


def _splits(profile: Profile, shape: Shape) -> Iterator[Finding]:
    tensor, stages = profile.tensor_parallel, profile.pipeline_parallel
    if not shape.splits_over(tensor):
        able = ", ".join(str(count) for count in range(1, shape.heads + 1) if shape.splits_over(count))
        heads = f"{shape.heads} heads, {shape.kv_heads} of keys and values"
        yield wrong("tensor_parallel", f"{shape.name} has {heads}, which {tensor} GPUs cannot share; possible: {able}")
    if stages > shape.layers:
        yield wrong("pipeline_parallel", f"{shape.name} has {shape.layers} layers, fewer than {stages} stages")
    elif shape.layers % stages:
        able = ", ".join(str(count) for count in range(1, shape.layers + 1) if shape.layers % count == 0)
        told = f"{shape.layers} layers are not shared out evenly over {stages} stages, the fullest decides"
        yield doubtful("pipeline_parallel", f"{told}; even: {able}")


def _mtp(model: Model) -> Iterator[Finding]:
    shape = model.shape
    if shape.family != MTP_FAMILY:
        yield wrong("speculative", f"{shape.name} is of {shape.family}; ernie_mtp is there for {MTP_FAMILY} only")
    elif model.directory is None:
        return
    elif not model.mtp_layers:
        yield wrong("speculative", f"{shape.name} has no MTP layer: its config.json lacks num_nextn_predict_layers")
    elif model.weights is not None and not any("mtp_" in name for name in model.weights):
        yield wrong("speculative", f"{shape.name} has no weights for MTP (none is called mtp_...), though it says so")


def _parsers(profile: Profile, model: Model) -> Iterator[Finding]:
    """Both go by tokens that only models have which think aloud (vLLM 0.32.0 does not start without the first two)."""
    if model.special is None:
        return
    for key, wanted in (("reasoning_parser", THINKS), ("tool_parser", CALLS)):
        absent = [token for token in wanted if token not in model.special]
        if getattr(profile, key) and absent:
            yield wrong(key, f"the tokenizer of {model.shape.name} has no {' and '.join(absent)}; leave it out")


def choice(profile: Profile, precision: Precision, model: Model) -> Choice | Finding:
    """How a checkpoint is served in a precision, or why it cannot be. model: the checkpoint of that precision."""
    about, shape = engine(profile.engine), model.shape
    if model.directory and (model.exported or profile.engine == "onnx"):
        return _exported(profile, precision, model)
    if model.format and model.quantized is None:
        return wrong("precision", f"{shape.name} is quantized by {model.format} in a way that is not known here")
    if model.quantized is None:
        if precision in about.online:
            return Choice(precision)
        if model.directory is None:
            return Choice(precision, quantized=True)  # a model by its name: only sizes are asked for
        fix = f"name a checkpoint that is: `wxops model quantize --{precision}`, then checkpoints: {{{precision}: DIR}}"
        return wrong(
            "precision", f"{about.name} needs a checkpoint in {precision}, {shape.name} is not quantized; {fix}"
        )
    if model.quantized != precision:
        return wrong("precision", f"{shape.name} is quantized to {model.quantized} and cannot be served in {precision}")
    if model.format not in about.formats:
        able = ", ".join(about.formats) or "none: it quantizes by itself"
        return wrong("precision", f"{about.name} does not read {model.format} checkpoints ({able})")
    return Choice(precision, quantized=True)


def _exported(profile: Profile, precision: Precision, model: Model) -> Choice | Finding:
    """An export and the engine for it go together, and only they; it is served in the precision that it was made in."""
    name = model.shape.name
    if profile.engine != "onnx":
        return wrong("engine", f"{name} is an export for a CPU, which only onnx serves: name the checkpoint it is of")
    if not model.exported:
        fix = f"make one and name that: `wxops model export {model.directory} OUT --onnx --precision {precision}`"
        return wrong("precision", f"onnx serves exports, and {name} is none; {fix}")
    if model.exported != precision:
        return wrong("precision", f"{name} was exported in {model.exported} and cannot be served in {precision}")
    return Choice(precision)
