"""A deployment's profile is refused on the controller with all that is wrong, or gives its container's command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from wxops.actions import Call
from wxops.actions.engine_profile import engine_profile
from wxops.audit.shapes import catalogue
from wxops.audit.tables import Tables
from wxops.errors import InputError, TaskFailed

PROFILE = {
    "engine": "vllm",
    "version": "0.32.0",
    "image": "vllm/vllm-openai@sha256:" + "0123456789abcdef" * 4,
    "precision": ["bf16", "fp8"],
    "max_model_len": 8192,
    "served_names": ["ernie"],
}


def asked(tmp_path: Path, profile: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    (tmp_path / "ernie.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
    call = SimpleNamespace(host="gpu1", find=lambda name, folder: tmp_path / name)
    return engine_profile(cast(Call, call), "ernie.yaml", **arguments)


def record(*gibs: int, cc: str = "9.0") -> dict[str, Any]:
    """As the module gpu_facts returns it."""
    told = [
        {
            "index": i,
            "name": {"value": "H100"},
            "memory_total": {"value": gib * 2**30},
            "compute_capability": {"value": cc},
        }
        for i, gib in enumerate(gibs)
    ]
    nvidia = {"driver_version": {"value": "580.95.05"}, "gpus": {"value": told}}
    return {"host": "gpu1", "system": {"hostname": "gpu1", "memory_available": 64 * 2**30}, "nvidia": nvidia}


def test_the_container_runs_what_check_shows(tmp_path: Path) -> None:
    told = asked(tmp_path, PROFILE, model="ernie-4.5-21b-a3b", facts=record(80))
    assert (told["changed"], told["precision"], told["image"]) == (False, "bf16", PROFILE["image"])
    assert told["entrypoint"] == ["vllm", "serve"]
    assert told["command"][:5] == ["/models", "--host", "0.0.0.0", "--port", "8000"]
    assert told["env"]["HF_HUB_OFFLINE"] == "1"
    assert (told["port"], told["ready_path"], told["nodes"], told["drain_seconds"]) == (8000, "/health", 1, 30)


def test_a_smaller_gpu_starts_in_the_next_precision(tmp_path: Path) -> None:
    assert asked(tmp_path, PROFILE, model="ernie-4.5-21b-a3b", facts=record(40))["precision"] == "fp8"


def test_each_host_of_several_has_its_own_command(tmp_path: Path) -> None:
    two = {**PROFILE, "tensor_parallel": 2, "multi_node": {"addresses": ["10.0.0.1", "10.0.0.2"]}}
    told = asked(tmp_path, two, facts=record(80), node=1)
    assert told["nodes"] == 2 and told["command"][-1] == "--headless"
    with pytest.raises(TaskFailed, match="node 2 is not among the 2 hosts"):
        asked(tmp_path, two, node=2)


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = {**PROFILE, "tensor_parallel": 8, "image": "vllm/vllm-openai:v0.32.0"}
    with pytest.raises(TaskFailed, match=r"ernie.yaml:3:1: 'image' should be named by its digest"):
        asked(tmp_path, wrong)
    wrong = {**PROFILE, "tensor_parallel": 8, "version": "0.20.0"}
    with pytest.raises(TaskFailed) as refused:
        asked(tmp_path, wrong, model="ernie-4.5-21b-a3b", facts=record(80))
    assert "ernie.yaml:2:1: version" in str(refused.value) and "cannot share" in str(refused.value)


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="there is no directory /nowhere"):
        asked(tmp_path, PROFILE, model="/nowhere")


def test_without_wxruntime_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wxruntime.profile.plan", None)
    with pytest.raises(InputError, match="needs the package wxruntime") as refused:
        asked(tmp_path, PROFILE)
    assert "pip install wxruntime" in str(refused.value)


def test_profiles_and_audits_go_by_the_same_figures() -> None:
    """wxruntime has no compat.yaml, so what it needs of it stands in its own tables; the two must not part."""
    from wxruntime.profile.engines import engine, least_driver

    features = {row.feature: str(row.min_cc) for row in Tables.load().features}
    for about in catalogue().engines:
        for need in about.precisions:
            own = engine(about.name).need(need.precision)  # type: ignore[arg-type]
            assert own.min_cc == features.get(need.feature), (about.name, need)
            assert own.or_else_cc == features.get(need.or_else), (about.name, need)
    floors = {row.cuda_major: str(row.min_driver_linux) for row in Tables.load().cuda_floors}
    for major in (12, 13):
        assert least_driver(f"{major}.0") == floors[major]
