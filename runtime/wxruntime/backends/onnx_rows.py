"""The ONNX Runtime sessions of an exported model, and the keys and values of the sequences in it, a row for each.

A run takes rows next to each other, which may differ in length: GroupQueryAttention reads and writes each row up to its
own length. Past and present are bound to the same memory, so that a run copies no cache, and a row may come or go
between two runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from wxruntime.backends.machine import multiplies_bytes

Floats = npt.NDArray[np.float32]

GRAPH = "model.onnx"
# An int4 export has another one for steps of many tokens (onnx_batch.py). Its kernels are fast where the CPU multiplies
# bytes; elsewhere they are slower, or their sums overflow.
BATCH_GRAPH, BATCH_TOKENS = "batch.onnx", 4

PADDING = 0
FLOAT_BYTES = 4


class Rows:
    """`count` rows of `capacity` tokens. Memory is taken from the system as rows are first written."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._session = _session(directory / GRAPH, threads)
        batch = directory / BATCH_GRAPH
        self._batch_session = _session(batch, threads) if batch.is_file() and multiplies_bytes() else None
        caches = [each for each in self._session.get_inputs() if each.name.startswith("past_key_values.")]
        self._names = [each.name.removeprefix("past_key_values.") for each in caches]
        self._heads: int = caches[0].shape[1]
        self._head_size = _head_size(directory)
        self._caches: list[Floats] = []
        self.count = self.capacity = 0
        self.vocab_size: int = self._session.get_outputs()[0].shape[2]

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return len(self._names) * self._heads * self._head_size * FLOAT_BYTES

    def reserve(self, count: int, capacity: int) -> None:
        """Make room for so many rows of so many tokens; what was in rows before is gone."""
        shape = (count, self._heads, capacity, self._head_size)
        self._caches = [np.zeros(shape, np.float32) for _ in self._names]
        self.count, self.capacity = count, capacity

    def forward(self, first: int, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> Floats:
        """Logits after the last of `tokens` of each row, [rows, vocabulary]; row `first` is that of tokens[0].

        lengths: of each row, in tokens, these included. The kernel takes three kinds of runs: whole prompts, which may
        differ in length; one token for each row; and several tokens for a row that has some already, alone.
        """
        widest = max(map(len, tokens))
        ids = np.full((len(tokens), widest), PADDING, np.int64)
        for row, given in enumerate(tokens):
            ids[row, : len(given)] = given
        # The kernel takes lengths from the mask: padding is on the right, in prompts and in what is cached.
        mask = (np.arange(max(lengths))[None, :] < np.asarray(lengths)[:, None]).astype(np.int64)
        logits = np.empty((len(tokens), 1, self.vocab_size), np.float32)
        session = self._fastest(ids.size)
        binding = session.io_binding()
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", mask)
        for name, cache in zip(self._names, self._caches, strict=True):
            part = cache[first : first + len(tokens)]
            binding.bind_input(f"past_key_values.{name}", "cpu", 0, np.float32, part.shape, part.ctypes.data)
            binding.bind_output(f"present.{name}", "cpu", 0, np.float32, part.shape, part.ctypes.data)
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        session.run_with_iobinding(binding)
        return logits[:, 0]

    def _fastest(self, tokens: int) -> onnxruntime.InferenceSession:
        return self._session if self._batch_session is None or tokens < BATCH_TOKENS else self._batch_session

    def copy(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of one row to another."""
        for cache in self._caches:
            cache[target, :, :length] = cache[source, :, :length]


def _session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # lengths differ from run to run, no plan would be used twice
    # Threads that spin for each other are fast on an idle machine, and several times slower on a busy one: an
    # emergency has that.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; they are raised as well
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _head_size(directory: Path) -> int:
    """The builder's note of the graph's head size: a checkpoint's config.json may leave it to a default."""
    config = json.loads((directory / "genai_config.json").read_bytes())
    size: int = config["model"]["decoder"]["head_size"]
    return size
