"""The backend that wraps transformers' continuous batching: a paged KV cache, shared prefixes, prompts read in pieces.

transformers would run its loop in a thread of its own and hand out answers by queues. Here the engine steps it: what is
used of it beyond its documentation is 5.24's, and tests/engine/test_transformers.py holds later ones to that.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence as List
from importlib import import_module
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.requests import RequestState, RequestStatus

from wxruntime.backends import cpu_attention
from wxruntime.backends.base import Limits, Load, Sequence, Step, Usage
from wxruntime.backends.drawing import Drawing
from wxruntime.backends.gpu_path import compile_layers, described, enough_tokens, uncapturable
from wxruntime.backends.machine import cores, free_memory
from wxruntime.backends.weights import load_weights, pick_device, pick_dtype
from wxruntime.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from wxruntime.models.verify import Check, Trust
from wxruntime.sampling import Sampling

log = logging.getLogger("wxruntime")

# Where nothing is said: on a CPU pieces of prompts so short that a step stays short, and pages so small that short
# prompts share them; on a GPU vLLM's number of sequences, and the page that its attention's kernels read.
CPU_SEQUENCES, CPU_BATCH_TOKENS, CPU_PAGE = 64, 512, 16
GPU_SEQUENCES, GPU_PAGE = 256, 256
# A CPU's KV cache holds this many of the longest sequences, in at most this share of the memory that is free.
CPU_LONGEST, CPU_SHARE = 8, 0.25


def load(options: Load) -> Transformers:
    """The checkpoint in `options.model`, on its device. Raises CheckpointError when it cannot be run."""
    checkpoint = read_checkpoint(options.model, Trust(check=Check.SIZES))  # the digests were compared before
    device = pick_device(options.device)
    model = load_weights(checkpoint, pick_dtype(options.dtype, device), "sdpa").to(device).eval()
    if device.type == "cuda":
        import_module("wxruntime.attention").install(model)
    else:
        cpu_attention.install(model)
        # PyTorch takes a thread for each core that it sees, however little of them its container may use.
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
    return Transformers(checkpoint, model, options)


class Transformers:
    """A model and its continuous batching, stepped by one thread."""

    gather_s = 0.0  # a sequence joins the batch at any step

    def __init__(self, checkpoint: Checkpoint, model: Any, options: Load) -> None:
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.ERROR)
        self._checkpoint, self._model = checkpoint, model
        self._gpu = model.device.type == "cuda"
        self._page = GPU_PAGE if self._gpu else CPU_PAGE
        if self._gpu and options.compile and not self._why_eager():
            compile_layers(model)
        self._config = self._batching(options)
        self._drawing = Drawing()
        self._matched: dict[str, int] = {}
        self._began: set[str] = set()
        self._queries = self._hits = 0
        self._step = Step()
        self._drawn: list[tuple[Any, int, int]] = []
        with torch.no_grad():
            self._manager = model.init_continuous_batching(
                generation_config=GenerationConfig(do_sample=False, eos_token_id=-1),
                continuous_batching_config=self._config,
            )
        self._manager.logit_processor = self._drawing
        self._make_batch()
        held = self._cache.num_blocks * self._page
        longest = min(options.context_length or checkpoint.context_length, checkpoint.context_length)
        if options.context_length is not None and held < longest:
            raise CheckpointError(
                f"the KV cache has room for {held} tokens, less than a context of {longest}: "
                "ask for a shorter one, or give it more memory"
            )
        longest = min(longest, held)
        sequences = self._manager.continuous_batching_config.max_requests_per_batch
        self.limits = Limits(context_length=longest, max_sequences=sequences, kv_tokens=held)
        if self._gpu:
            self._warm_up()

    def _batching(self, options: Load) -> ContinuousBatchingConfig:
        """transformers' settings for what the operator chose, and ours for what not."""
        tokens = options.kv_tokens
        settings: dict[str, Any] = {"page_size": self._page, "allow_block_sharing": options.prefix_caching}
        settings["auto_switch_to_flash"] = False  # it would look for a kernel on a hub
        if self._gpu:
            config, dtype = self._model.config, self._model.dtype
            eager = self._why_eager()
            log.info("on the GPU: %s", described(config, dtype, eager, options.compile))
            longest = options.context_length or self._checkpoint.context_length
            sequences = options.max_sequences or GPU_SEQUENCES
            free = torch.cuda.mem_get_info(self._model.device)[0] * options.memory_fraction
            tokens = tokens or enough_tokens(sequences * longest, self._token_bytes(), free)
            settings |= {
                "max_requests_per_batch": sequences,
                "max_batch_tokens": options.max_batch_tokens,
                "max_blocks_per_request": 0,  # its decoding from blocks is for flash attentions of a hub
                "max_memory_percent": options.memory_fraction,
                "default_compile_level": 0,  # it would compile whole steps
                "use_cuda_graph": not eager,
                "use_async_batching": True,
            }
        else:
            tokens = tokens or self._cpu_tokens(options.context_length or self._checkpoint.context_length)
            batch = options.max_batch_tokens or CPU_BATCH_TOKENS
            settings |= {
                "max_requests_per_batch": min(options.max_sequences or CPU_SEQUENCES, batch),
                "max_batch_tokens": batch,
                "max_blocks_per_request": 0,
                "use_cuda_graph": False,
                "use_async_batching": False,
            }
        if tokens is not None:
            settings["num_blocks"] = -(-tokens // self._page)
        return ContinuousBatchingConfig(**settings)

    def _why_eager(self) -> str:
        """As uncapturable() has it."""
        model = self._model
        return uncapturable(model.config, model.dtype, torch.cuda.get_device_capability(model.device))

    def _cpu_tokens(self, longest: int) -> int:
        """Room in the KV cache, in tokens."""
        return max(self._page, min(CPU_LONGEST * longest, int(free_memory() * CPU_SHARE) // self._token_bytes()))

    def _token_bytes(self) -> int:
        """What the KV cache holds of one token."""
        config = self._model.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        each: int = 2 * config.num_hidden_layers * config.num_key_value_heads * width * self._model.dtype.itemsize
        return each

    def reset(self) -> None:
        self._drawing.reset()
        self._matched.clear()
        self._began.clear()
        self._launched = False
        with torch.inference_mode():
            self._batch.reset()

    def _make_batch(self) -> None:
        """transformers' batch and cache, with a look at what passes between them."""
        self._launched = False
        with torch.inference_mode():
            batch = self._manager._create_batch_processor()
        self._manager.batch_processor, self._batch, self._cache = batch, batch, batch.cache
        batch.output_router.deliver_batch = lambda outputs: None  # tokens are taken below, as they come
        self._inputs = batch.inputs_and_outputs
        self._mark = self._cache.mark_complete_blocks
        search, update = self._cache.search_prefix_match, self._inputs.prepare_batch_update
        self._cache.search_prefix_match = lambda id_, prompt: self._match(search, id_, prompt)
        self._inputs.prepare_batch_update = lambda: self._take(*update())
        choose = batch.model_runner._get_forward_fn
        batch.model_runner._get_forward_fn = lambda use_block_table: self._forward(choose, use_block_table)
        for pair in getattr(self._inputs, "io_pairs", ()):
            key = pair.device_io._get_graph_key
            pair.device_io._get_graph_key = lambda key=key: (*key(), self._drawing.sampled)

    def _forward(self, choose: Any, use_block_table: bool) -> Any:
        """What is looked at beside the tokens cannot be read out of a CUDA graph: such a step runs without."""
        if self._drawing.captured:
            return choose(use_block_table=use_block_table)
        return self._look, False

    def _look(self, model: Any, *batch: Any) -> None:
        """A step that is looked at; where prompts are told, at its hidden states: its logits are of the last ones."""
        step = self._batch.model_runner._forward_process_and_sample
        if not self._drawing.looks[-1].prompts:
            step(model, *batch)
            return
        head, vocabulary = model.get_output_embeddings(), model.config.vocab_size

        def read(_: Any, __: Any, output: Any) -> None:
            self._drawing.read_prompts(output.last_hidden_state[0], head, vocabulary)

        hook = model.base_model.register_forward_hook(read)
        try:
            step(model, *batch)
        finally:
            hook.remove()

    def _warm_up(self) -> None:
        """Compile and record the CUDA graphs, for greedy batches and for those that draw."""
        prepare = self._drawing.prepare_tensor_args
        for sampled in (False, True):

            def pretend(
                requests_in_batch: List[Any], arg_storage: torch.Tensor, sampled: bool = sampled
            ) -> torch.Tensor:
                prepare(requests_in_batch, arg_storage)
                self._drawing.sampled = sampled
                return arg_storage

            self._drawing.prepare_tensor_args = pretend  # type: ignore[method-assign]
            with torch.inference_mode():
                self._manager.warmup()
        del self._drawing.prepare_tensor_args
        self._drawing.looks.clear()

    def prove(self) -> None:
        """One token through the whole way that a client's takes."""
        start = min(self._checkpoint.stop_tokens, default=0)
        probe = Sequence(-1, [start], Sampling(max_tokens=1, temperature=0))
        self._drawing.checked, self._drawing.finite = True, True
        try:
            self.admit([probe])
            while not self.step().finished:
                pass
        finally:
            self._drawing.checked = False
        if not self._drawing.finite:
            raise CheckpointError(f"{self._checkpoint.directory}: the weights give logits that are not finite")

    def admit(self, sequences: List[Sequence]) -> None:
        for sequence in sequences:
            name = str(sequence.id)
            self._drawing.admit(name, sequence)
            state = RequestState(
                request_id=name,
                initial_tokens=list(sequence.prompt),
                max_new_tokens=sequence.sampling.max_tokens,
                eos_token_id=list(sequence.sampling.stop_tokens),
            )
            self._batch.scheduler.add_waiting_request(state)

    def drop(self, ids: List[int]) -> None:
        scheduler = self._batch.scheduler
        for id_ in ids:
            name = str(id_)
            state = scheduler.active_requests.get(name) or scheduler.waiting_requests.get(name)
            if state is not None:
                # A step that is under way on the GPU has it still, and passes over what is finished.
                state._status = RequestStatus.FINISHED
                scheduler.set_request_cancellation(name)
            self._forget(name)
        for state in scheduler.clear_cancelled_requests():
            self._batch.offloading_manager.free_request_cpu_cache(state)

    def step(self) -> Step:
        """On a GPU the tokens are those of the batch before, which it made while this one was prepared."""
        step = self._step = Step()
        self._drawn.clear()
        with torch.inference_mode():
            if not self._batch.prepare_next_batch():
                return step
            self._manager._generation_step()
            if self._batch.use_async_batching and not self._launched:
                self._launched = True
                return step
            self._batch.update_batch()
        for state, id_, token in self._drawn:
            if state._status == RequestStatus.FINISHED:
                stop = self._drawing.running[state.request_id].sampling.stop_tokens
                step.finished.append((id_, "stop" if token in stop else "length"))
                self._forget(state.request_id)
        return step

    def usage(self) -> Usage:
        return Usage(self._kv_used(), self._queries, self._hits)

    def close(self) -> None:
        self._manager.batch_processor = None

    def _forget(self, name: str) -> None:
        self._drawing.forget(name)
        self._matched.pop(name, None)
        self._began.discard(name)

    def _match(self, search: Any, name: str, prompt: list[int]) -> int:
        """How many tokens of the prompt are in the cache already; none where the model's view of them is asked for."""
        sequence = self._drawing.running.get(name)
        if sequence is not None and sequence.sampling.prompt_logprobs is not None:
            return 0
        found: int = search(name, prompt)
        self._matched[name] = min(found, len(prompt) - 1)  # the last one is always read, for its logits
        return found

    def _take(self, requests: Any, tokens: list[int], logprobs: Any) -> Any:
        """The tokens of a batch, on the way from the device to transformers' own bookkeeping."""
        step, drawing = self._step, self._drawing
        look = drawing.looks.popleft()
        told = {name: each for name, each in look.prompt_logprobs.items() if name in drawing.running}
        step.prompt_logprobs = {drawing.running[name].id: each for name, each in told.items()}
        row = 0
        for each in requests:
            state = each.state
            name = state.request_id
            passed = state._status in (RequestStatus.FINISHED, RequestStatus.PENDING) or name not in drawing.running
            if not passed:
                step.processed += each.query_length
                if name not in self._began:
                    self._begin(name)
                if each.complete_blocks:
                    # transformers would pass over those of an answer that ends with this token.
                    self._mark(state, each.complete_blocks)
                    each.complete_blocks = type(each.complete_blocks)()
            if each.has_new_token:
                if not passed:
                    if row in look.logprobs:
                        step.logprobs[len(step.tokens)] = look.logprobs[row]
                    id_ = drawing.running[name].id
                    step.tokens.append((id_, tokens[row]))
                    self._drawn.append((state, id_, tokens[row]))
                row += 1
        return requests, tokens, logprobs

    def _begin(self, name: str) -> None:
        """The first piece of a prompt has been read."""
        sequence, hit = self._drawing.running[name], self._matched.get(name, 0)
        self._began.add(name)
        self._step.started.append((sequence.id, hit))
        if sequence.id >= 0 and sequence.sampling.prompt_logprobs is None:
            self._queries += len(sequence.prompt)
            self._hits += hit

    def _kv_used(self) -> float:
        """Share of the cache that sequences hold; what is kept for a later prefix is free to be taken."""
        cache = self._cache
        kept = sum(len(each.ledger.cached_blocks) * each.bytes_per_block for each in cache.cache_allocators.values())
        held = 1 - cache.compute_free_capacity() - kept / (cache.num_sectors * cache.bytes_per_sector)
        return max(0.0, float(held))
