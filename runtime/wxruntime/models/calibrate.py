"""Rounding with a text in mind: layer after layer sees what the rounded layers before it make of the text.

The whole model is in memory, and one layer's second moments (GPTQ, gptq.py). Experts of a mixture of experts are one
operation, into which nothing can look: they are rounded by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from wxruntime.models.gptq import round_with_compensation
from wxruntime.models.precision import Precision
from wxruntime.models.quantize import ROUNDED
from wxruntime.models.rounding import Rounded, round_weight, to_weight
from wxruntime.models.scoring import Scorer
from wxruntime.models.shards import tensors
from wxruntime.models.text import read_ids

log = logging.getLogger("wxruntime")

WINDOW = 512
WINDOWS = 128


class Calibrated:
    """A rounder for `quantize`: give it each weight in the order of the layers."""

    def __init__(self, source: Path, text: Path, precision: Precision, group: int | None, device: str = "auto") -> None:
        scorer = Scorer(source, device)
        ids = read_ids(text, scorer.tokenizer, WINDOWS * WINDOW)
        self._model: Any = scorer.model
        self._precision, self._group = precision, group
        self._dtype = next(tensor.dtype for name, tensor in tensors(source) if ROUNDED.fullmatch(name))
        self._layer = -1
        self._found: dict[str, Rounded] = {}
        window = min(WINDOW, len(ids))
        rows = [ids[at : at + window] for at in range(0, len(ids) - window + 1, window)]
        self._hidden, self._arguments = self._before_layers(torch.tensor(rows, device=scorer.device))
        log.info("%s: calibrated on %d tokens of %s", source, len(rows) * window, text)

    @torch.inference_mode()
    def __call__(self, name: str, weight: torch.Tensor) -> Rounded:
        layer = int(name.split(".")[2])
        while self._layer < layer:
            self._layer += 1
            self._found = self._round_layer(self._layer)
        found = self._found.pop(name, None)
        return found if found is not None else round_weight(weight, self._precision, self._group)

    @torch.inference_mode()
    def _before_layers(self, tokens: torch.Tensor) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
        """The inputs of the first layer, window by window, and what every layer gets beside them."""
        hidden, arguments = [], []

        def catch(_: torch.nn.Module, given: Sequence[torch.Tensor], named: dict[str, Any]) -> None:
            hidden.append(given[0] if given else named.pop("hidden_states"))
            arguments.append(named)
            raise _Caught

        hook = self._model.model.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
        for row in tokens:
            try:
                self._model(input_ids=row[None], use_cache=False)
            except _Caught:
                continue
        hook.remove()
        return hidden, arguments

    def _round_layer(self, number: int) -> dict[str, Rounded]:
        """Round what can be looked into, put it in the model, and run the text on to the next layer."""
        layer = self._model.model.layers[number]
        prefix = f"model.layers.{number}."
        linear = {
            name: module
            for name, module in layer.named_modules()
            if isinstance(module, torch.nn.Linear) and ROUNDED.fullmatch(f"{prefix}{name}.weight")
        }
        moments = self._moments(layer, linear)
        found = {}
        for name, module in linear.items():
            weight = module.weight.to(self._dtype)  # scales are stored in the checkpoint's own type
            rounded = round_with_compensation(weight, moments[name], self._precision, self._group)
            module.weight.copy_(to_weight(rounded, module.weight.dtype))
            found[f"{prefix}{name}.weight"] = rounded
        self._hidden = [self._run(layer, *each) for each in zip(self._hidden, self._arguments, strict=True)]
        return found

    def _moments(self, layer: torch.nn.Module, linear: dict[str, torch.nn.Linear]) -> dict[str, torch.Tensor]:
        """Sum of x xᵀ over the inputs of each linear layer; those that share an input share the sum."""
        sums: dict[str, torch.Tensor] = {}
        shared = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
        hooks = []
        for name, module in linear.items():
            if name.rpartition(".")[2] in shared:
                continue
            sums[name] = torch.zeros(module.in_features, module.in_features, device=module.weight.device)

            def add(_: torch.nn.Module, given: Sequence[torch.Tensor], total: torch.Tensor = sums[name]) -> None:
                inputs = given[0].flatten(0, -2).float()
                total.addmm_(inputs.T, inputs)

            hooks.append(module.register_forward_pre_hook(add))
        for each in zip(self._hidden, self._arguments, strict=True):
            self._run(layer, *each)
        for hook in hooks:
            hook.remove()
        for name in linear:
            path, _, last = name.rpartition(".")
            if last in shared:
                sums[name] = sums[f"{path}.{shared[last]}"]
        return sums

    @staticmethod
    def _run(layer: torch.nn.Module, hidden: torch.Tensor, arguments: dict[str, Any]) -> torch.Tensor:
        output = layer(hidden, **arguments)
        result: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return result


class _Caught(Exception):
    """The first layer was reached."""
