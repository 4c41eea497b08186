"""The attention that a GPU's model gets is one that the installed transformers batches with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager

from wxruntime.attention import NAME, install, ops


@pytest.mark.parametrize(("triton", "name"), [(True, NAME), (False, "sdpa")])
def test_continuous_batching_takes_the_name(triton: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "TRITON", triton)
    model = SimpleNamespace(config=SimpleNamespace(_attn_implementation="sdpa"), _supports_flash_attn=True)
    install(model)
    ContinuousBatchingManager.switch_to_cb_friendly_attn(SimpleNamespace(), model, auto_switch_to_flash=False)
    assert model.config._attn_implementation == name
