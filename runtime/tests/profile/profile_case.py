"""A case of cases/*.yaml made real: a profile's file, a checkpoint's files, a host's facts as an audit writes them."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from wxruntime.profile.checkpoints import Model, look
from wxruntime.profile.host import Host, from_facts
from wxruntime.profile.model import Precision
from wxruntime.profile.plan import Plan, plan

HERE = Path(__file__).parent
BASE = {
    "engine": "vllm",
    "version": "0.32.0",
    "image": "vllm/vllm-openai@sha256:" + "0123456789abcdef" * 4,
    "precision": "bf16",
    "served_names": ["ernie"],
}
# Name, GiB, compute capability.
CARDS = {
    "H100": (80, "9.0"), "A100": (80, "8.0"), "L40S": (48, "8.9"), "L4": (24, "8.9"), "T4": (16, "7.5"),
    "V100": (32, "7.0"), "B200": (180, "10.0"), "small": (5, "8.9"), "H100-mig": (80, "9.0"),
}  # fmt: skip
CONFIG = {
    "model_type": "ernie4_5", "architectures": ["Ernie4_5ForCausalLM"], "vocab_size": 640, "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 160,
    "max_position_embeddings": 131072,
}  # fmt: skip


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file; a test is named by its case."""
    found: list[dict[str, Any]] = yaml.safe_load((HERE / "cases" / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def write_profile(folder: Path, changes: Mapping[str, Any]) -> Path:
    """BASE with the changes; None takes a key away."""
    values = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def write_model(folder: Path, changes: Mapping[str, Any], weights: list[str]) -> Path:
    """A directory with a config.json, the header of a safetensors file, and a tokenizer of one token."""
    directory = folder / "tiny"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({**CONFIG, **changes}), encoding="utf-8")
    (directory / "tokenizer.json").write_text('{"added_tokens": [{"id": 2, "content": "</s>"}]}', encoding="utf-8")
    header = json.dumps({name: {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]} for name in weights}).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return directory


def facts(told: Mapping[str, Any]) -> str:
    """As `wxops audit --json` writes them."""
    gpus = []
    for index, name in enumerate(told.get("gpus", [])):
        gib, cc = CARDS[name]
        mig = {"current": name.endswith("-mig"), "pending": False}
        gpus.append({
            "index": index, "lost": False, "name": reading(name), "memory_total": reading(gib * 2**30),
            "compute_capability": reading(cc), "mig": reading(mig),
        })  # fmt: skip
    nvidia = {"driver_version": reading(told.get("driver", "580.95.05")), "gpus": reading(gpus)} if gpus else None
    system = {"hostname": "gpu1", "memory_available": told.get("memory_gib", 64) * 2**30}
    record = {"host": "gpu1", "schema": 1, "system": system, "nvidia": nvidia}
    return json.dumps({"schema": 1, "hosts": [{"host": "gpu1", "verdict": "pass", "record": record}]})


def reading(value: Any) -> dict[str, Any]:
    return {"value": value, "state": "read", "detail": ""}


def planned(case: Mapping[str, Any], folder: Path) -> Plan:
    """What a case's profile comes to."""
    models: dict[Precision | None, Model] = {}
    if "tiny" in case:
        models[None] = look(str(write_model(folder, case["tiny"], case.get("weights", ["model.norm.weight"]))))
    elif "model" in case:
        models[None] = look(case["model"])
    host: Host | None = from_facts(facts(case["host"]), "facts") if "host" in case else None
    return plan(write_profile(folder, case["set"]), models, host)


def free_port() -> int:
    """Below those that the kernel gives to clients: an engine binds to it seconds after it was found free."""
    while True:
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            return port
