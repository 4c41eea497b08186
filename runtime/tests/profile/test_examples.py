"""The profiles that the deploy role brings to copy hold together, fit the hosts they name, and explain every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from profile_case import facts

from wxruntime.profile.checkpoints import Model, look
from wxruntime.profile.host import from_facts
from wxruntime.profile.model import Precision, Profile
from wxruntime.profile.plan import plan

EXAMPLES = Path(__file__).parents[3] / "playbooks/roles/runtime/files"
SMALL, MIDDLE, LARGE = "ernie-4.5-0.3b", "ernie-4.5-21b-a3b", "ernie-4.5-300b-a47b"


@pytest.mark.parametrize(
    ("name", "model", "gpus", "precision"),
    [
        ("vllm", MIDDLE, ["H100"], "bf16"),
        ("vllm-multi-node", LARGE, ["H100"] * 8, "bf16"),
        ("fastdeploy", MIDDLE, ["L4"], "int4"),
        ("transformers", SMALL, ["L4"], "bf16"),
        ("transformers", SMALL, [], "bf16"),
        ("paged", SMALL, ["L4"], "bf16"),
        ("onnx", SMALL, [], "int4"),
        ("adaptive", MIDDLE, ["H100"], "bf16"),
        ("adaptive", MIDDLE, ["L40S"], "fp8"),
        ("adaptive", MIDDLE, ["L4"], "int4"),
    ],
)
def test_an_example_starts_on_the_host_that_it_is_for(
    name: str, model: str, gpus: list[str], precision: Precision, tmp_path: Path
) -> None:
    copied = tmp_path / f"{name}.yaml"
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    copied.write_text(text.replace("sha256:" + "0" * 64, "sha256:" + "1" * 64), encoding="utf-8")
    models: dict[Precision | None, Model] = {None: look(model)}
    found = plan(copied, models, from_facts(facts({"gpus": gpus}), "facts"))
    assert [str(each) for each in found.mistakes] == []
    assert found.choice and found.choice.precision == precision


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_not_run_before_its_image_is_named(path: Path) -> None:
    said = "\n".join(map(str, plan(path, {}).mistakes))
    assert "sha256:" + "0" * 64 not in path.read_text() or "put the digest of your image there" in said


def test_every_key_is_explained() -> None:
    written = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.yaml"))
    unexplained = [key for key in Profile.model_fields if not re.search(rf"^(# )?{key}:", written, re.MULTILINE)]
    assert unexplained == []
