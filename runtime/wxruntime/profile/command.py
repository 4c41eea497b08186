"""The command of a profile: the arguments and the environment, the same every time, with which each host starts it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wxruntime.profile.engines import engine
from wxruntime.profile.model import MultiNode, Precision, Profile

DTYPES: Mapping[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
RAY_PORT = 6379
GANG = Path(__file__).with_name("gang.py")


@dataclass(frozen=True)
class Choice:
    """In what a profile is served. quantized: its checkpoint holds this precision already, so no flag asks for it."""

    precision: Precision
    quantized: bool = False


@dataclass(frozen=True)
class Command:
    """What one host runs. entrypoint and arguments are those of `docker run`; node: the host's rank."""

    node: int
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def line(self) -> str:
        """For a shell, with the environment in front; the program of gang.py is what `wxruntime gang` prints."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        command, program = shlex.join([*self.entrypoint, *self.arguments]), GANG.read_text(encoding="utf-8")
        return " ".join([*variables, command.replace(shlex.quote(program), '"$(wxruntime gang)"')])


def commands(profile: Profile, choice: Choice) -> tuple[Command, ...]:
    """The command of each host, the one that answers clients first."""
    return tuple(_command(profile, choice, node) for node in range(profile.nodes))


def _command(profile: Profile, choice: Choice, node: int) -> Command:
    start, render = PROGRAMS.get(profile.engine, (OURS, _wxruntime))
    environment = dict(_environment(profile, node))
    words = (*start, *render(profile, choice, node), *_extra(profile))
    if _is_ray(profile) and node:
        assert profile.multi_node
        head = f"{profile.multi_node.addresses[0]}:{RAY_PORT}"
        own = f"--node-ip-address={profile.multi_node.addresses[node]}"
        start, words = ("ray", "start"), ("ray", "start", "--block", f"--address={head}", own)
    if profile.multi_node and profile.engine == "vllm":
        start, words = _in_gang(profile.multi_node, profile.checkpoint(choice.precision), node, words)
    if before := list(_before(profile, node)):
        script = "; ".join([*before, 'exec "$@"'])
        return Command(node, ("/bin/sh", "-ec", script, "sh"), words, environment)
    return Command(node, start, words[len(start) :], environment)


def _in_gang(
    nodes: MultiNode, model: str, node: int, words: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The entrypoint, and all words of a command that starts with the other hosts' and ends with them."""
    start = ("python3", "-c", GANG.read_text(encoding="utf-8"))
    own = ("--rank", str(node), "--addresses", ",".join(nodes.addresses), "--port", str(nodes.gang_port))
    return start, (*start, *own, "--model", model, "--", *words)


def _environment(profile: Profile, node: int) -> Iterator[tuple[str, str]]:
    """No engine asks a hub for what is not in the model's directory, and none tells its makers about its use."""
    yield "HF_HUB_OFFLINE", "1"
    if profile.engine == "vllm":
        yield "VLLM_NO_USAGE_STATS", "1"
        if profile.multi_node:
            yield "VLLM_HOST_IP", profile.multi_node.addresses[node]
            if profile.multi_node.backend == "ray":
                yield "RAY_USAGE_STATS_ENABLED", "0"
    if profile.engine not in PROGRAMS:
        yield "WXRUNTIME_PORT", str(profile.port)  # `wxruntime healthcheck` in the container asks there
    yield from profile.environment.items()


def _before(profile: Profile, node: int) -> Iterator[str]:
    """What a shell does before it becomes the server: the key goes from its file into the environment, never into

    arguments, which everybody on the host can read.
    """
    variable = engine(profile.engine).key_variable
    if profile.api_key_file and variable:
        yield f'{variable}="$(cat {shlex.quote(profile.api_key_file)})"; export {variable}'
    if _is_ray(profile) and node == 0:
        assert profile.multi_node
        own = f"--node-ip-address={profile.multi_node.addresses[0]}"
        yield f"ray start --head --port={RAY_PORT} {own} --include-dashboard=false"


def _is_ray(profile: Profile) -> bool:
    return profile.multi_node is not None and profile.multi_node.backend == "ray"


def _vllm(profile: Profile, choice: Choice, node: int) -> Iterator[str]:
    yield profile.checkpoint(choice.precision)
    yield from ("--host", profile.host, "--port", str(profile.port))
    yield from ("--served-model-name", *profile.served_names)
    yield from ("--tensor-parallel-size", str(profile.tensor_parallel))
    yield from ("--pipeline-parallel-size", str(profile.pipeline_parallel))
    yield from _precision(profile, choice)
    yield from _sizes(profile)
    yield "--enable-prefix-caching" if profile.prefix_caching else "--no-enable-prefix-caching"
    if profile.kv_cache_dtype != "auto":
        yield from ("--kv-cache-dtype", profile.kv_cache_dtype)
    yield from ("--gpu-memory-utilization", str(profile.gpu_memory_utilization))
    if profile.speculative:
        yield from ("--speculative-config", _json(method=profile.speculative.method, num_speculative_tokens=1))
    if profile.queue.requests is not None:
        yield from ("--max-num-queued-reqs", str(profile.queue.requests))
    if profile.queue.tokens is not None:
        yield from ("--max-num-queued-tokens", str(profile.queue.tokens))
    if profile.reasoning_parser:
        yield from ("--reasoning-parser", profile.reasoning_parser)
    if profile.tool_parser:
        yield from ("--enable-auto-tool-choice", "--tool-call-parser", profile.tool_parser)
    yield from ("--shutdown-timeout", str(profile.drain_seconds))
    if profile.multi_node:
        yield from _vllm_nodes(profile.multi_node, node)


def _vllm_nodes(nodes: MultiNode, node: int) -> Iterator[str]:
    """With mp each host runs vLLM, those after the first without an HTTP server; Ray has workers of its own."""
    yield from ("--distributed-executor-backend", nodes.backend)
    if nodes.backend == "mp":
        yield from ("--nnodes", str(len(nodes.addresses)), "--node-rank", str(node))
        yield from ("--master-addr", nodes.addresses[0], "--master-port", str(nodes.port))
        if node:
            yield "--headless"


def _fastdeploy(profile: Profile, choice: Choice, node: int) -> Iterator[str]:
    """All hosts run the same command; the order of --ips says who is first."""
    yield from ("--model", profile.checkpoint(choice.precision), "--load-choices", "default_v1")
    yield from ("--host", profile.host, "--port", str(profile.port))
    yield from ("--served-model-name", profile.served_names[0])
    yield from ("--tensor-parallel-size", str(profile.tensor_parallel))
    yield from _precision(profile, choice)
    yield from _sizes(profile)
    yield "--enable-prefix-caching" if profile.prefix_caching else "--no-enable-prefix-caching"
    yield from ("--gpu-memory-utilization", str(profile.gpu_memory_utilization))
    if profile.speculative:
        wanted = profile.speculative
        yield from (
            "--speculative-config",
            _json(method="mtp", num_speculative_tokens=wanted.tokens, model=wanted.model),
        )
    if profile.queue.requests is not None:
        yield from ("--max-concurrency", str(profile.queue.requests + (profile.max_num_seqs or FASTDEPLOY_SEQUENCES)))
    if profile.reasoning_parser:
        yield from ("--reasoning-parser", FASTDEPLOY_PARSER)
    if profile.tool_parser:
        yield from ("--tool-call-parser", FASTDEPLOY_PARSER)
    if profile.multi_node:
        yield from ("--disable-custom-all-reduce", "--graph-optimization-config", _json(use_cudagraph=False))
        yield from ("--ips", ",".join(profile.multi_node.addresses))


FASTDEPLOY_SEQUENCES = 8  # its default of max_num_seqs (docs/parameters.md)
FASTDEPLOY_PARSER = "ernie_x1"  # what its page on ERNIE-4.5-21B-A3B-Thinking names for both


def _wxruntime(profile: Profile, choice: Choice, node: int) -> Iterator[str]:
    yield from ("--backend", profile.engine, "--model", profile.checkpoint(choice.precision))
    for name in profile.served_names:
        yield from ("--served-model-name", name)
    yield from ("--host", profile.host, "--port", str(profile.port))
    if profile.engine != "onnx" and not choice.quantized:
        yield from ("--dtype", DTYPES.get(choice.precision, choice.precision))
    for flag, value in (
        ("--context-length", profile.max_model_len),
        ("--max-sequences", profile.max_num_seqs),
        ("--max-batch-tokens", profile.max_num_batched_tokens),
        ("--queue-size", profile.queue.requests),
    ):
        if value is not None:
            yield from (flag, str(value))
    if profile.engine != "onnx":
        yield "--prefix-caching" if profile.prefix_caching else "--no-prefix-caching"
        yield from ("--memory-fraction", str(profile.gpu_memory_utilization))
    yield from ("--drain-seconds", str(profile.drain_seconds))


OURS = ("wxruntime", "engine")
PROGRAMS = {
    "vllm": (("vllm", "serve"), _vllm),
    "fastdeploy": (("python", "-m", "fastdeploy.entrypoints.openai.api_server"), _fastdeploy),
}


def _precision(profile: Profile, choice: Choice) -> Iterator[str]:
    """A type for the weights, or the way to quantize them; neither where the checkpoint says it itself."""
    if choice.quantized:
        return
    if profile.engine == "vllm" and choice.precision in DTYPES:
        yield from ("--dtype", DTYPES[choice.precision])
    elif way := engine(profile.engine).online.get(choice.precision):
        yield from ("--quantization", way)


def _sizes(profile: Profile) -> Iterator[str]:
    for flag, value in (
        ("--max-model-len", profile.max_model_len),
        ("--max-num-seqs", profile.max_num_seqs),
        ("--max-num-batched-tokens", profile.max_num_batched_tokens),
    ):
        if value is not None:
            yield from (flag, str(value))


def _extra(profile: Profile) -> Iterator[str]:
    for name, value in profile.arguments.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        else:
            yield from (f"--{name}", _json(**value) if isinstance(value, dict) else str(value))


def _json(**values: object) -> str:
    return json.dumps({name: value for name, value in values.items() if value is not None}, separators=(",", ":"))
