"""The attention that a GPU's model is loaded with is one that the installed transformers batches with."""

from __future__ import annotations

from types import SimpleNamespace

from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager

from wxruntime.attention import install


def test_continuous_batching_takes_the_name() -> None:
    switch = getattr(ContinuousBatchingManager, "switch_to_cb_friendly_attn", None)
    name = install()
    if switch is None:  # before 5.18 it knew its attentions by their prefix
        assert name.startswith("paged|")
        return
    model = SimpleNamespace(config=SimpleNamespace(_attn_implementation=name), _supports_flash_attn=True)
    switch(SimpleNamespace(), model, auto_switch_to_flash=False)
    assert model.config._attn_implementation == name
