"""How likely a served model finds texts, asked over OpenAI's completions: the same two questions as to one in process.

Multiple choice needs `logprobs` alone: the letters among the likeliest next tokens. Perplexity needs `echo` with
`logprobs`, which vLLM has.
"""

from __future__ import annotations

import json
import math
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from wxruntime.models.errors import ModelError

MOST_LOGPROBS = 20  # vLLM's default limit
KEY_VARIABLE = "WXOPS_API_KEY"
PIECE = 2000  # characters of text in a request


class Served:
    """A model behind an OpenAI-compatible server. url: as http://127.0.0.1:8000; a key is taken from $WXOPS_API_KEY."""

    def __init__(self, url: str, model: str | None = None, timeout_s: float = 120.0) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._timeout_s = timeout_s
        self.model = model or self._first_model()

    def likelihoods(self, context: str, continuations: Sequence[str]) -> list[float]:
        """Of single tokens: what is not among the likeliest counts as impossible."""
        answer = self._complete(prompt=context, max_tokens=1, temperature=0, logprobs=MOST_LOGPROBS)
        top: Mapping[str, float] = answer["top_logprobs"][0]
        told: dict[str, float] = {}
        for token, value in top.items():
            told[token.strip()] = max(value, told.get(token.strip(), -math.inf))
        return [told.get(each, -math.inf) for each in continuations]

    def score_text(self, text: str) -> tuple[float, int]:
        """The mean of -ln likelihood, and how many tokens; each piece is read without what stood before it."""
        total, tokens = 0.0, 0
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            answer = self._complete(prompt=piece, max_tokens=1, temperature=0, logprobs=1, echo=True)
            values = [value for value in answer["token_logprobs"][:-1] if value is not None]
            total -= sum(values)
            tokens += len(values)
        return total / max(1, tokens), tokens

    def _complete(self, **fields: Any) -> Any:
        answer = self._ask("/v1/completions", {"model": self.model, **fields})
        logprobs = answer["choices"][0].get("logprobs")
        if not logprobs:
            raise ModelError("the server gives no logprobs", where=self.url, fix="evaluate the directory itself")
        return logprobs

    def _first_model(self) -> str:
        models = self._ask("/v1/models", None).get("data") or []
        if not models:
            raise ModelError("the server has no model", where=self.url)
        return str(models[0]["id"])

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode("utf-8", "replace")
            raise ModelError(f"{path} was refused with {error.code}: {said}", where=self.url) from None
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} did not answer: {error}", where=self.url, fix="is it ready? GET /ready") from None
