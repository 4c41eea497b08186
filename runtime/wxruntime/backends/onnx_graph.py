"""Makes an exported graph give the logits of each row's last token only, as a step of generation needs no others.

The builder's graph gives logits at every position. Of a prompt of 500 tokens and ERNIE's vocabulary of 103,424 that
would be 200 MB and a third of the prompt's work. The builder can cut to the last position itself, but that is a padding
token in a row that is shorter than its batch. Here the position comes from the attention mask. Names, types and
meaning of inputs and outputs stay: onnxruntime-genai runs the graph as well.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

PREFIX = "/wxruntime/last_token"


def keep_last_logits(path: Path) -> None:
    """Edit the graph in place; its weights, which lie in another file, are not read. Raise ValueError for others."""
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    head = next((at for at, node in enumerate(graph.node) if "logits" in node.output), None)
    attention = next((node for node in graph.node if node.op_type == "GroupQueryAttention"), None)
    if head is None or attention is None:
        raise ValueError(f"{path.name} has no node that gives the logits, or no GroupQueryAttention")
    seqlens = attention.input[5]  # of each row: its tokens in the cache and in this step, less one
    chosen = _nodes(seqlens, graph.node[head].input[0])
    graph.node[head].input[0] = chosen[-1].output[0]
    for offset, node in enumerate(chosen):
        graph.node.insert(head + offset, node)
    logits = next(output for output in graph.output if output.name == "logits")
    logits.type.tensor_type.shape.dim[1].Clear()
    logits.type.tensor_type.shape.dim[1].dim_value = 1
    # Shapes that the builder noted for what is now one position long would contradict what is computed.
    stale = {"logits", *chosen[-1].output}
    kept = [value for value in graph.value_info if value.name not in stale]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    onnx.save(model, path)


def _nodes(seqlens: str, hidden: str) -> list[onnx.NodeProto]:
    """From hidden states [rows, tokens, size] to those of each row's last token, [rows, 1, size].

    In the first step of a prompt the row's last token is at seqlens, and what follows is padding. In later steps
    seqlens counts the cache as well, so it is beyond the last position, and there is no padding: that one is meant.
    """

    def out(name: str) -> str:
        return f"{PREFIX}/{name}"

    def constant(name: str, values: list[int]) -> onnx.NodeProto:
        tensor = helper.make_tensor(out(name), onnx.TensorProto.INT64, [len(values)], values)
        return helper.make_node("Constant", [], [out(name)], name=out(name + "/Constant"), value=tensor)

    def node(kind: str, inputs: list[str], name: str, **attributes: int) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [out(name)], name=out(f"{name}/{kind}"), **attributes)

    return [
        constant("one", [1]),
        constant("axes", [1, 2]),
        node("Shape", ["input_ids"], "tokens", start=1, end=2),
        node("Sub", [out("tokens"), out("one")], "final_position"),
        node("Cast", [seqlens], "seqlens", to=onnx.TensorProto.INT64),
        node("Min", [out("seqlens"), out("final_position")], "position"),
        node("Unsqueeze", [out("position"), out("axes")], "index"),
        node("GatherND", [hidden, out("index")], "hidden", batch_dims=1),
    ]
