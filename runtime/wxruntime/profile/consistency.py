"""Whether a profile holds together: what its engine has in that version, before any model or host is seen."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from wxruntime.profile.command import RAY_PORT
from wxruntime.profile.engines import Engine, engine, flags, number
from wxruntime.profile.finding import Finding, doubtful, wrong
from wxruntime.profile.model import MultiNode, Profile

# Names of variables that hold secrets: a profile is no place for one.
SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD)$")


def consistency(profile: Profile) -> Iterator[Finding]:
    """Every mistake that the file alone shows."""
    about = engine(profile.engine)
    yield from _keys(profile, about)
    yield from _version(profile, about)
    yield from _precisions(profile, about)
    yield from _nodes(profile)
    yield from _speculative(profile)
    yield from _extra(profile, about)
    batched, sequences = profile.max_num_batched_tokens, profile.max_num_seqs
    if batched is not None and sequences is not None and batched < sequences:
        yield wrong("max_num_batched_tokens", f"{batched} is less than a token for each of max_num_seqs {sequences}")
    if profile.engine == "fastdeploy" and profile.max_model_len is None:
        yield doubtful("max_model_len", "fastdeploy takes 2,048 tokens where it is left out, whatever the model can")
    if profile.engine == "fastdeploy" and len(profile.served_names) > 1:
        yield wrong("served_names", "fastdeploy answers to one name; let a gateway know the others")
    if profile.load and profile.max_model_len and profile.load.tokens > profile.max_model_len:
        yield wrong("load.tokens", f"{profile.load.tokens} is longer than max_model_len {profile.max_model_len}")


def _value(of: Any, key: str) -> tuple[Any, Any]:
    """What stands at a dotted key, and what would without it."""
    found, default = of, None
    for part in key.split("."):
        default = type(found).model_fields[part].get_default(call_default_factory=True)
        found = getattr(found, part)
    return found, default


def is_set(profile: Profile, key: str) -> bool:
    """Whether a key says something else than its default."""
    found, default = _value(profile, key)
    return bool(found != default)


def _keys(profile: Profile, about: Engine) -> Iterator[Finding]:
    for key, why in about.lacks.items():
        if is_set(profile, key):
            yield wrong(key, f"{about.name} does not have it: {why}")
    if about.image_needed and profile.image is None:
        yield wrong("image", f"which image of {about.name} is to run? Name it by its digest")
    if profile.api_key_file and not about.key_variable:
        why = f"{about.name} asks nobody for a key; let a gateway ask, and keep the engine's port to it"
        yield wrong("api_key_file", why)


def _version(profile: Profile, about: Engine) -> Iterator[Finding]:
    if about.versions is None:
        return
    if profile.version is None:
        yield wrong(
            "version", f"which {about.name} is in the image? Its flags depend on that ({_range(about)} are known)"
        )
        return
    if number(profile.version) < number(about.versions.oldest):
        yield wrong("version", f"{profile.version} is older than what is known here ({_range(about)})")
    elif number(profile.version) > number(about.versions.newest):
        yield doubtful("version", f"{profile.version} is newer than what was read ({_range(about)}); look at its flags")
    for key, first in about.since.items():
        if is_set(profile, key) and number(profile.version) < number(first):
            yield wrong(key, f"{about.name} has it from {first} on, this is {profile.version}")


def _range(about: Engine) -> str:
    return f"{about.versions.oldest} to {about.versions.newest}" if about.versions else ""


def _precisions(profile: Profile, about: Engine) -> Iterator[Finding]:
    for precision in profile.precision:
        if not about.offers(precision):
            offered = ", ".join(dict.fromkeys([*about.online, *about.reads]))
            yield wrong("precision", f"{about.name} does not have {precision}; it has {offered}")
    for precision in profile.precision:
        if profile.precision.count(precision) > 1:
            yield wrong("precision", f"{precision} is there twice")
            break
    for precision in profile.checkpoints:
        if precision not in profile.precision:
            yield wrong(f"checkpoints.{precision}", "it is not among the precisions")


def _nodes(profile: Profile) -> Iterator[Finding]:
    nodes = profile.multi_node
    if nodes is None:
        return
    if profile.gpus % profile.nodes:
        what = (
            f"{profile.gpus} GPUs (tensor_parallel x pipeline_parallel) are not shared out evenly over {profile.nodes}"
        )
        yield wrong("multi_node.addresses", f"{what} hosts")
    if len(set(nodes.addresses)) < len(nodes.addresses):
        yield wrong("multi_node.addresses", "a host is there twice")
    yield from _reachable(nodes.addresses)
    yield from _ports(profile, nodes)
    local = profile.gpus // profile.nodes
    if profile.engine == "vllm" and profile.tensor_parallel > max(local, 1):
        instead = f"tensor_parallel: {local} and pipeline_parallel: {profile.nodes} cross it once a stage"
        shared = f"{profile.tensor_parallel} GPUs share each layer, {local} of them on a host"
        told = f"{shared}: every layer crosses the network"
        yield doubtful("tensor_parallel", f"{told}; {instead}")
    if profile.engine == "fastdeploy":
        if nodes.backend != "mp":
            yield wrong("multi_node.backend", "fastdeploy has no Ray; leave it out")
        if profile.prefix_caching:
            yield wrong("prefix_caching", "fastdeploy over several hosts does not have it; set it to false")


def _reachable(addresses: list[str]) -> Iterator[Finding]:
    parsed = [ipaddress.ip_address(each) for each in addresses]
    for each in parsed:
        if each.is_loopback or each.is_unspecified or each.is_multicast:
            yield wrong("multi_node.addresses", f"{each} is no address at which the other hosts reach this one")
    if len({each.version for each in parsed}) > 1:
        yield wrong("multi_node.addresses", "some are of IPv4 and some of IPv6; the hosts need one that all have")


def _ports(profile: Profile, nodes: MultiNode) -> Iterator[Finding]:
    """Containers of a replica over several hosts share the host's network."""
    meeting = (RAY_PORT, "Ray's own") if nodes.backend == "ray" else (nodes.port, "where the engine's parts meet")
    taken = dict([meeting, (nodes.gang_port, "multi_node.port + 1, on which the first host waits for the others")])
    if profile.engine == "vllm" and profile.port in taken:
        yield wrong("port", f"{profile.port} is {taken[profile.port]}: clients need another one")


def _speculative(profile: Profile) -> Iterator[Finding]:
    wanted = profile.speculative
    if wanted is None or "speculative" in engine(profile.engine).lacks:
        return
    if profile.engine == "vllm":
        if wanted.tokens != 1:
            yield wrong("speculative.tokens", "ernie_mtp predicts one token a step")
        if wanted.model:
            yield wrong("speculative.model", "vllm takes the layer from the checkpoint itself; leave it out")
    elif wanted.model is None:
        yield wrong(
            "speculative.model", "fastdeploy wants the directory of the checkpoint's MTP layer (its mtp folder)"
        )


def _extra(profile: Profile, about: Engine) -> Iterator[Finding]:
    for name in profile.arguments:
        bare = name.removeprefix("no-")
        if bare in about.secrets:
            yield wrong(f"arguments.{name}", "a process list would show the secret; use api_key_file")
        elif bare in about.own_flags or name in about.own_flags:
            yield wrong(f"arguments.{name}", "the profile's own keys set this flag; use them")
        else:
            yield from _stranger(profile, name)
    for name in profile.environment:
        if SECRET.search(name):
            yield wrong(f"environment.{name}", "a secret does not belong into a profile; use api_key_file")


def _stranger(profile: Profile, name: str) -> Iterator[Finding]:
    """A flag that the engine does not have, as a misspelt one: without this it is found at the start of a container."""
    known, flag = flags(profile.engine), f"no-{name}" if profile.arguments[name] is False else name
    if known is None or flag in known.names:
        return
    alike = difflib.get_close_matches(flag, known.names, n=1)
    told = f"{profile.engine} {known.version} has no --{flag}" + (f"; --{alike[0]}?" if alike else "")
    certain = known.exact and profile.version == known.version
    yield (wrong if certain else doubtful)(f"arguments.{name}", told)
