"""An int4 export's graph for steps of many tokens is the same model, and nobody in a step is changed by the others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from wxruntime.backends import onnx_batch, onnx_rows
from wxruntime.backends.machine import multiplies_bytes
from wxruntime.backends.onnx_batch import write_batch_graph
from wxruntime.backends.onnx_export import export_onnx
from wxruntime.backends.onnx_rows import Floats, Rows
from wxruntime.checkpoint import CheckpointError

PROMPTS = (3, 11, 7, 1)


@pytest.fixture(autouse=True)
def exact_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without VNNI sums of bytes may overflow, and Rows leaves the graph out: the tests take a slower kernel there."""

    def session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.x64quantprecision", "1")
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnx_rows, "_session", session)
    monkeypatch.setattr(onnx_rows, "multiplies_bytes", lambda: True)


def opened(directory: Path) -> Rows:
    rows = Rows(directory, threads=1)
    rows.reserve(len(PROMPTS), 64)
    return rows


def some_tokens(count: int, seed: int) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(6, 420, count)]


def read(rows: Rows, texts: list[list[int]]) -> Floats:
    """Logits after the prompts, and after three more tokens of each."""
    found = [rows.forward(0, texts, [len(text) for text in texts])]
    for step in range(1, 4):
        following = some_tokens(len(texts), seed=100 + step)
        found.append(rows.forward(0, [[token] for token in following], [len(text) + step for text in texts]))
    return np.stack(found)


TEXTS = [some_tokens(length, seed) for seed, length in enumerate(PROMPTS)]


def test_its_8_bits_are_nearer_to_the_checkpoint_than_the_4(
    tiny_fp32: Path, tiny_int4: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = read(opened(tiny_fp32), TEXTS)
    many = np.abs(read(opened(tiny_int4), TEXTS) - reference).mean()
    monkeypatch.setattr(onnx_rows, "BATCH_TOKENS", 1 << 30)
    few = np.abs(read(opened(tiny_int4), TEXTS) - reference).mean()
    assert 0 < many < few / 2
    assert many < 0.02 * np.ptp(reference)


def test_a_step_of_few_tokens_is_not_the_batchs(tiny_int4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = opened(tiny_int4)
    text = some_tokens(3, seed=1)
    alone = rows.forward(0, [text], [3])
    monkeypatch.setattr(onnx_rows, "BATCH_TOKENS", 3)
    assert np.abs(rows.forward(0, [text], [3]) - alone).max() > 0


def test_logits_in_a_batch_are_those_of_the_same_graph_alone(tiny_int4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_rows, "BATCH_TOKENS", 1)
    rows = opened(tiny_int4)
    together = read(rows, TEXTS)
    for at, text in enumerate(TEXTS):
        alone = [rows.forward(0, [text], [len(text)])]
        for step in range(1, 4):
            token = some_tokens(len(TEXTS), seed=100 + step)[at]
            alone.append(rows.forward(0, [[token]], [len(text) + step]))
        np.testing.assert_allclose(together[:, at], np.stack(alone)[:, 0], rtol=0, atol=1e-5)


def test_an_export_without_it_is_served_by_its_one_graph(tiny_int4: Path, tiny_fp32: Path) -> None:
    assert (tiny_int4 / onnx_rows.BATCH_GRAPH).is_file()
    assert not (tiny_fp32 / onnx_rows.BATCH_GRAPH).exists()
    assert np.isfinite(opened(tiny_fp32).forward(0, TEXTS, list(PROMPTS))).all()


def test_another_models_weights_are_refused(tiny_int4: Path, odd: Path) -> None:
    with pytest.raises(ValueError, match="is no matrix of the checkpoint"):
        write_batch_graph(odd, tiny_int4)


def test_a_graph_with_other_matrices_is_a_refusal_of_the_export_that_leaves_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_batch, "PART", re.compile("no matrix has this name"))
    with pytest.raises(CheckpointError, match="the builder has a matrix that is not known here"):
        export_onnx(tiny, tmp_path / "out", "int4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", True),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: fpu avx2 avx512f avx512bw", False),
        ("Features\t: fp asimd asimddp", False),
    ],
)
def test_which_cpus_multiply_bytes(line: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert multiplies_bytes(tmp_path / "cpuinfo") is expected
