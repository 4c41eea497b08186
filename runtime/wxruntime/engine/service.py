"""What is served, under which names and within which limits; what a request's numbers become."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from wxruntime.checkpoint import Checkpoint
from wxruntime.engine.engine import Engine, NotReady, QueueFull, for_choices
from wxruntime.engine.generation import Generation
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.openai import ApiError, Common, Json
from wxruntime.sampling import Sampling
from wxruntime.tokenizer import TextTokenizer

CLIENT_LEFT = 499  # nginx's number, for the log: nobody reads this answer
# Logits divided by less than this leave a float32; the likeliest token is all that would be drawn (as in vLLM).
GREEDY_BELOW = 1e-5
# Numbers told of one request's prompt, each some hundred bytes on its way: eight a token of the longest context.
MOST_PROMPT_LOGPROBS = 2**20


@dataclass(frozen=True, slots=True)
class Service:
    """One model. A step that takes longer than stall_s counts as a fault."""

    engine: Engine
    checkpoint: Checkpoint
    tokenizer: TextTokenizer
    metrics: Metrics
    names: tuple[str, ...]
    stall_s: float

    def health(self) -> str:
        """One word: ok, loading, stalled, failed or stopped."""
        progress = self.engine.progress()
        if progress.state == "ready":
            return "stalled" if progress.idle_s > self.stall_s else "ok"
        return progress.state

    @property
    def context_length(self) -> int:
        """Of the backend, once it is loaded: the machine may hold less than the checkpoint could."""
        limits = self.engine.limits
        return self.checkpoint.context_length if limits is None else limits.context_length

    def known(self, name: str) -> str:
        if name not in self.names:
            known = ", ".join(self.names)
            raise ApiError(404, f"no model {name!r} here; served: {known}", param="model", code="model_not_found")
        return name

    def submit(self, asked: Common, field: str, prompt: Sequence[int]) -> Generation:
        """Queue it. `field` is the request's that holds the prompt."""
        sampling, answers = self._sampling(asked, field, prompt), asked.n or 1
        if asked.prompt_alternatives is not None:
            told = answers * len(prompt) * (1 + asked.prompt_alternatives)
            if told > MOST_PROMPT_LOGPROBS:
                message = f"logprobs: with echo they would be {told} of the prompt, more than {MOST_PROMPT_LOGPROBS}"
                raise ApiError(400, message, param="logprobs")
        if self.engine.limits is not None and answers > self.engine.room:
            raise ApiError(400, f"n: {answers} answers never fit: {self.engine.room} may run and wait here", param="n")
        try:
            samplings, silent = for_choices(sampling, answers), asked.token_limit == 0
            return self.engine.submit(prompt, samplings, asked.stop_strings, silent=silent)
        except NotReady:
            raise not_ready() from None
        except QueueFull:
            message = f"{self.engine.room} requests run or wait already, and no more may; try again"
            raise ApiError(429, message, code="queue_full", retry_after_s=1) from None

    def _sampling(self, asked: Common, field: str, prompt: Sequence[int]) -> Sampling:
        """The request's choices, the checkpoint's where it makes none; the answer must fit beside the prompt."""
        if outside := [token for token in prompt if token >= self.checkpoint.vocab_size]:
            most = self.checkpoint.vocab_size - 1
            raise ApiError(400, f"{field}: {outside[0]} is no token of this model, whose last is {most}", param=field)
        room = self.context_length - len(prompt)
        wanted = asked.token_limit
        least = max(1, wanted or 1)
        if room < least:
            raise ApiError(
                400,
                f"{len(prompt)} prompt tokens and {least} for the answer exceed the model's context of "
                f"{self.context_length} tokens",
                param=field,
                code="context_length_exceeded",
            )
        temperature = self.checkpoint.temperature if asked.temperature is None else asked.temperature
        return Sampling(
            max_tokens=room if wanted is None else least,
            temperature=0.0 if temperature < GREEDY_BELOW else temperature,
            top_p=self.checkpoint.top_p if asked.top_p is None else asked.top_p,
            seed=secrets.randbits(63) if asked.seed is None else asked.seed,
            stop_tokens=frozenset() if asked.ignore_eos or wanted == 0 else self.checkpoint.stop_tokens,
            logprobs=asked.alternatives,
            prompt_logprobs=asked.prompt_alternatives,
        )

    def load(self) -> Json:
        """What a router wants to know, at the cost of nothing: /load."""
        progress, limits = self.engine.progress(), self.engine.limits
        return {
            "state": progress.state,
            "running": progress.running,
            "waiting": progress.waiting,
            "kv_usage": self.engine.usage.kv_used,
            "max_running": limits.max_sequences if limits else 0,
            "max_outstanding": self.engine.room,
            "kv_tokens": limits.kv_tokens if limits else 0,
            "context_length": self.context_length,
        }


def not_ready() -> ApiError:
    return ApiError(503, "the model is not ready yet", code="not_ready", retry_after_s=2)
