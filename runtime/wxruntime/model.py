"""A loaded checkpoint: text to tokens, and tokens to the next token, one step at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from jinja2 import TemplateError
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils.logging import disable_progress_bar

from wxruntime.checkpoint import Checkpoint, CheckpointError
from wxruntime.draws import Sampler, Sampling

log = logging.getLogger("wxruntime")

Device = Literal["auto", "cpu", "cuda"]
DType = Literal["auto", "float32", "bfloat16", "float16"]

# A prompt is read in pieces, so that a departed client is noticed and memory stays bounded in a long one.
PROMPT_PIECE = 512


class PromptError(ValueError):
    """Messages that the checkpoint's chat template does not take."""


class Ernie:
    """The weights on their device and the tokenizer. Only one thread may step it; reading text is safe from any."""

    def __init__(self, checkpoint: Checkpoint, device: Device = "auto", dtype: DType = "auto") -> None:
        disable_progress_bar()
        self.checkpoint = checkpoint
        self.device = _pick_device(device)
        self._model = _load_weights(checkpoint, _pick_dtype(dtype, self.device)).to(self.device).eval()
        self._chat = _load_tokenizer(checkpoint)
        self.tokenizer: Tokenizer = self._chat.backend_tokenizer
        self.prove()

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The conversation in the checkpoint's chat template, up to where the assistant speaks."""
        if not self._chat.chat_template:
            raise PromptError("this checkpoint has no chat template; it answers /v1/completions")
        try:
            text = self._chat.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise PromptError(f"the checkpoint's chat template refuses these messages: {error}") from error
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    @torch.inference_mode()
    def steps(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[int | None]:
        """Run one step for each item taken: None after a piece of the prompt, then token after token, without end."""
        cache = DynamicCache(config=self._model.config)
        sampler = Sampler(sampling, self.device)
        tokens = torch.tensor([prompt], device=self.device)
        *pieces, tokens = tokens.split(PROMPT_PIECE, dim=1)
        for piece in pieces:
            self._forward(piece, cache)
            yield None
        while True:
            token = sampler.draw(self._forward(tokens, cache))
            yield token
            tokens = torch.tensor([[token]], device=self.device)

    def _forward(self, tokens: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Logits for the token after `tokens`, which join the cache."""
        output = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    @torch.inference_mode()
    def prove(self) -> None:
        """One real step. Weights that are not numbers are found here, not in the first client's answer."""
        start = torch.tensor([[min(self.checkpoint.stop_tokens, default=0)]], device=self.device)
        logits = self._forward(start, DynamicCache(config=self._model.config))
        if not torch.isfinite(logits).all():
            raise CheckpointError(f"{self.checkpoint.directory}: the weights give logits that are not finite")


def _pick_device(wanted: Device) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("--device cuda: PyTorch sees no CUDA device (no driver, no GPU given, or a CPU build)")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _pick_dtype(wanted: DType, device: torch.device) -> torch.dtype | str:
    """`auto` is the checkpoint's own type on a GPU, and float32 on a CPU, where bfloat16 is mostly emulated."""
    if wanted == "auto":
        return "auto" if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]


def _load_weights(checkpoint: Checkpoint, dtype: torch.dtype | str) -> torch.nn.Module:
    """transformers fills absent weights with random ones and only warns; here that is an error."""
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            checkpoint.directory,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever a file that it did not expect makes transformers raise
        raise CheckpointError(f"{checkpoint.directory}: the weights cannot be loaded: {error!r}") from error
    if report["missing_keys"]:
        raise CheckpointError(f"{checkpoint.directory} lacks the weight {min(report['missing_keys'])}")
    if report["unexpected_keys"]:
        log.warning("weights not used by this architecture: %s", ", ".join(sorted(report["unexpected_keys"])[:5]))
    loaded: torch.nn.Module = model
    return loaded


def _load_tokenizer(checkpoint: Checkpoint) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as above
        raise CheckpointError(f"{checkpoint.directory}: the tokenizer cannot be loaded: {error!r}") from error
    if len(tokenizer) > checkpoint.vocab_size:
        raise CheckpointError(
            f"{checkpoint.directory}: the tokenizer has {len(tokenizer)} tokens, the model {checkpoint.vocab_size}"
        )
    return tokenizer
