"""The precisions that weights can be rounded to, and how a compressed-tensors checkpoint says so.

Values are those that vLLM's kernels take (its CompressedTensorsW8A8Fp8, W8A8Int8 and WNA16 schemes): weights are
symmetric, activations of the 8-bit ones are rounded token by token while the model runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

GROUPS = (128, 64, 32)
"""How many neighbouring weights of a row may share a scale in int4: the group sizes that vLLM's kernels know."""


@dataclass(frozen=True, slots=True)
class Precision:
    """lowest, highest: the range of a rounded weight before its scale. grouped: a scale a group, else a scale a row.

    activations: whether inputs of a layer are rounded, too, so that the product runs on 8-bit units.
    """

    name: str
    bits: int
    kind: Literal["float", "int"]
    lowest: float
    highest: float
    format: str
    grouped: bool
    activations: bool

    def config(self, group: int | None, kept: Sequence[str]) -> dict[str, Any]:
        """`quantization_config` of config.json. kept: modules that stay as they are."""
        weights = self._arguments("group" if self.grouped else "channel", group if self.grouped else None)
        inputs = self._arguments("token", None) | {"dynamic": True} if self.activations else None
        scheme = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": None}
        return {
            "quant_method": "compressed-tensors",
            "format": self.format,
            "quantization_status": "compressed",
            "config_groups": {"group_0": scheme | {"format": self.format}},
            "ignore": list(kept),
            "kv_cache_scheme": None,
            "global_compression_ratio": None,
        }

    def _arguments(self, strategy: str, group: int | None) -> dict[str, Any]:
        return {
            "num_bits": self.bits,
            "type": self.kind,
            "symmetric": True,
            "strategy": strategy,
            "group_size": group,
            "dynamic": False,
        }


PRECISIONS = {
    each.name: each
    for each in (
        Precision("fp8", 8, "float", -448.0, 448.0, "float-quantized", grouped=False, activations=True),
        Precision("int8", 8, "int", -128, 127, "int-quantized", grouped=False, activations=True),
        Precision("int4", 4, "int", -8, 7, "pack-quantized", grouped=True, activations=False),
    )
}


def precision_of(config: Mapping[str, Any]) -> Precision | None:
    """Of a config.json: None when it is not quantized. Raise ValueError for a quantization that is none of ours."""
    settings = config.get("quantization_config")
    if settings is None:
        return None
    form = settings.get("format")
    if settings.get("quant_method") == "compressed-tensors":
        for each in PRECISIONS.values():
            if each.format == form and _weights(settings).get("num_bits") == each.bits:
                return each
    raise ValueError(f"quantization_config has method {settings.get('quant_method')!r} and format {form!r}")


def refuse_unlike(config: Mapping[str, Any]) -> None:
    """Raise ValueError for weights of one of our precisions that more than a scale would have to make whole.

    They would be read without it, and the model would answer nonsense.
    """
    weights = _weights(config["quantization_config"])
    if not weights.get("symmetric", True):
        raise ValueError("its weights are asymmetric, with zero points")
    if weights.get("actorder") not in (None, "weight", "static"):  # these leave each weight in its place
        raise ValueError("the columns of its weights are in another order (actorder)")
    known = ("tensor", "channel", "group") if weights.get("type") == "int" else ("tensor", "channel")
    if (strategy := weights.get("strategy")) not in known:
        raise ValueError(f"its scales are by {strategy}, not by {' or '.join(known)}")


def group_of(config: Mapping[str, Any]) -> int | None:
    """The group size that a quantized checkpoint's config.json names."""
    group = _weights(config["quantization_config"]).get("group_size")
    return group if isinstance(group, int) else None


def _weights(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    groups = settings.get("config_groups") or {}
    return next((group.get("weights") or {} for group in groups.values()), {})
