"""The second graph of an int4 export, for steps of many tokens: the same model with its matrices in 8 bits.

MatMulNBits is fast where a step is bound by reading its 4-bit weights. It unpacks them again for every two tokens, so a
step of 16 is eleven times the work of one. MatMulIntegerToFloat unpacks nothing and takes a third of that, but its
weights are twice the bytes to read. So there are both graphs, over the same keys and values; onnx_rows.py picks one for
each step.

A weight has a scale for each output and an activation one for each token, so what is reckoned for a token does not
depend on those beside it. Weights are rounded from the checkpoint's, not from the 4-bit ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from safetensors import safe_open

from wxruntime.backends.onnx_rows import BATCH_GRAPH, GRAPH
from wxruntime.models.shards import placed

PREFIX = "/wxruntime/int8"
LARGEST = 127  # of a signed byte; without -128 zero is zero
OFFSET = 128  # activations are unsigned bytes: of these with signed weights MLAS has fast kernels, of signed ones none
SMALLEST = 1e-20  # what the largest activation of a token is at least: zeros have no scale

# What the builder calls a matrix, and of which weights of the checkpoint it is made.
PART = re.compile(r"layers[./](?P<layer>\d+)[./](?:attn|mlp)[./](?P<name>\w+)_proj[./]MatMul")
PACKED = {"qkv": ("q", "k", "v")}
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def write_batch_graph(checkpoint: Path, directory: Path) -> None:
    """Write BATCH_GRAPH beside GRAPH, whose norms, embedding and rotary tables it shares.

    Raise ValueError for a graph that has other matrices than the checkpoint.
    """
    model = onnx.load(directory / GRAPH, load_external_data=False)
    graph, weights = model.graph, _Weights(checkpoint)
    graph.initializer.extend(_constants())
    nodes: list[onnx.NodeProto] = []
    rounded: dict[str, str] = {}  # activations -> the same in bytes: two matrices may take the same ones
    for node in graph.node:
        if node.op_type != "MatMulNBits":
            nodes.append(node)
            continue
        given = node.input[0]
        if given not in rounded:
            rounded[given] = f"{PREFIX}/{len(rounded)}"
            nodes += _round(given, rounded[given])
        weight = weights.of(node)
        graph.initializer.extend(_in_bytes(node.name, weight))
        nodes += _multiply(node, rounded[given])
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    onnx.save(model, directory / BATCH_GRAPH, save_as_external_data=True, location=f"{BATCH_GRAPH}.data")


class _Weights:
    """The checkpoint's matrices, by the node that multiplies with them."""

    def __init__(self, checkpoint: Path) -> None:
        self._directory, self._places = checkpoint, placed(checkpoint)

    def of(self, node: onnx.NodeProto) -> torch.Tensor:
        """[outputs, inputs], float32."""
        matrix = torch.cat([self._read(name) for name in self._names(node.name)])
        shape = {each.name: each.i for each in node.attribute}
        if matrix.shape != (shape["N"], shape["K"]) or any(node.input[3:]):
            raise ValueError(f"{node.name} is no matrix of the checkpoint, or has more to it than a matrix")
        return matrix

    def _names(self, node: str) -> list[str]:
        if node.startswith("/lm_head/"):
            return [HEAD if HEAD in self._places else EMBEDDING]
        found = PART.search(node)
        if not found:
            raise ValueError(f"{node}: the builder has a matrix that is not known here")
        block = "mlp" if "/mlp/" in node else "self_attn"
        parts = PACKED.get(found["name"], (found["name"],))
        return [f"model.layers.{found['layer']}.{block}.{part}_proj.weight" for part in parts]

    def _read(self, name: str) -> torch.Tensor:
        with safe_open(self._directory / self._places[name], framework="pt") as shard:
            tensor: torch.Tensor = shard.get_tensor(name)
        return tensor.float()


def _in_bytes(name: str, weight: torch.Tensor) -> Iterator[onnx.TensorProto]:
    """The matrix as [inputs, outputs] in signed bytes, and a scale for each output."""
    scale = weight.abs().amax(dim=1).clamp(min=SMALLEST) / LARGEST
    rounded = (weight / scale[:, None]).round().to(torch.int8)
    yield numpy_helper.from_array(rounded.T.contiguous().numpy(), f"{name}/int8")
    yield numpy_helper.from_array(scale.numpy(), f"{name}/scale")


def _constants() -> Iterator[onnx.TensorProto]:
    # The cast to bytes cuts off what is behind the point, so that a half more rounds.
    floats = {"one": 1, "largest": LARGEST, "share": 1 / LARGEST, "smallest": SMALLEST, "half": OFFSET + 0.5}
    for name, value in floats.items():
        yield numpy_helper.from_array(np.array(value, np.float32), f"{PREFIX}/{name}")
    yield numpy_helper.from_array(np.array(OFFSET, np.uint8), f"{PREFIX}/offset")
    yield numpy_helper.from_array(np.array([-1]), f"{PREFIX}/last_axis")


def _round(given: str, out: str) -> list[onnx.NodeProto]:
    """Activations [rows, tokens, size] in bytes as `out`/bytes, and the scale of each token as `out`/scale."""

    def node(kind: str, inputs: list[str], name: str, **attributes: int) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [f"{out}/{name}"], name=f"{out}/{name}/{kind}", **attributes)

    return [
        node("Abs", [given], "sizes"),
        node("ReduceMax", [f"{out}/sizes", f"{PREFIX}/last_axis"], "most", keepdims=1),
        node("Max", [f"{out}/most", f"{PREFIX}/smallest"], "range"),
        node("Mul", [f"{out}/range", f"{PREFIX}/share"], "scale"),
        node("Div", [f"{PREFIX}/largest", f"{out}/range"], "inverse"),
        node("Mul", [given, f"{out}/inverse"], "scaled"),
        node("Add", [f"{out}/scaled", f"{PREFIX}/half"], "shifted"),
        node("Cast", [f"{out}/shifted"], "bytes", to=onnx.TensorProto.UINT8),
    ]


def _multiply(node: onnx.NodeProto, activations: str) -> list[onnx.NodeProto]:
    """What gives the output of a MatMulNBits node from activations in bytes."""
    product = f"{node.name}/product"
    taken = [f"{activations}/bytes", f"{node.name}/int8", f"{PREFIX}/one", f"{node.name}/scale", f"{PREFIX}/offset"]
    return [
        helper.make_node("MatMulIntegerToFloat", taken, [product], name=product, domain="com.microsoft"),
        helper.make_node("Mul", [product, f"{activations}/scale"], [node.output[0]], name=f"{product}/Mul"),
    ]
