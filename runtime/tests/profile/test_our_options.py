"""What a profile of one of our own engines renders is what `wxruntime engine` takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_case import planned

from wxruntime.cli.engine import engine


@pytest.mark.parametrize("name", ["transformers", "paged", "onnx"])
def test_every_flag_is_an_option_of_the_command(name: str, tmp_path: Path) -> None:
    everything = {
        "engine": name, "version": None, "image": None, "precision": "fp32", "max_model_len": 4096, "max_num_seqs": 8,
        "max_num_batched_tokens": 2048, "queue": {"requests": 16}, "served_names": ["a", "b"], "drain_seconds": 5,
    }  # fmt: skip
    (command,) = planned({"set": everything}, tmp_path).commands
    context = engine.make_context("engine", list(command.arguments))
    told = context.params
    assert (told["backend"], told["served_model_name"], told["queue_size"]) == (name, ("a", "b"), 16)
    assert (told["context_length"], told["max_sequences"], told["drain_seconds"]) == (4096, 8, 5)
