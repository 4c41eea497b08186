"""How likely a served model finds texts, asked over OpenAI's completions: the same two questions as to one in process.

Both are asked with `echo` and `logprobs`, of the ids of tokens, which vLLM and wxruntime take. So a served model is
asked of exactly the tokens that a model in process would be. A server without echo is asked for multiple choice alone:
then the letters among the likeliest next tokens count.
"""

from __future__ import annotations

import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

from wxruntime.models.errors import ModelError
from wxruntime.models.text import WINDOW, first, read_text, read_tokenizer, windows

MOST_LOGPROBS = 20  # vLLM's default limit
KEY_VARIABLE = "WXOPS_API_KEY"
AT_ONCE = 8  # requests, which the server reads together
TRIES = 6  # of a server whose queue is full


class Refused(ModelError):
    """An answer that is an error. code: HTTP's."""

    def __init__(self, what: str, code: int, where: str) -> None:
        super().__init__(what, where=where)
        self.code = code


class Served:
    """A model behind an OpenAI-compatible server. url: as http://127.0.0.1:8000; a key is taken from $WXOPS_API_KEY.

    directory: of the same model, whose tokenizer is taken where the server has no /tokenize.
    """

    def __init__(
        self, url: str, model: str | None = None, timeout_s: float = 120.0, directory: Path | None = None
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._timeout_s, self._directory = timeout_s, directory
        self.model = model or self._first_model()
        self.echoes = True  # until the server refuses it

    def likelihoods(self, context: str, continuations: Sequence[str]) -> list[float]:
        """ln likelihood of each continuation after `context`. Raise ModelError where the server tells none."""
        if self.echoes:
            try:
                start = len(self._tokens(context, special=True))
                rows = [self._tokens(context + text, special=True) for text in continuations]
                return list(self._scores([(row, len(row) - start) for row in rows]))
            except Refused as error:
                if error.code not in (400, 404, 405, 422):
                    raise
                self.echoes = False
        return self._likeliest(context, continuations)

    def score_text(self, path: Path, most: int) -> tuple[float, int]:
        """The mean of -ln likelihood of a file's first `most` tokens, and how many were scored: all but the first.

        In the windows in which a model in process reads it. Raise ModelError for no text and for a server without echo.
        """
        text = read_text(path, most)
        ids = first(self._tokens(text, special=False) if text else [], most, path)  # of no text a server makes an error
        rows = [(row, scored) for batch, scored in windows(ids, WINDOW, 1) for row in batch]
        return -math.fsum(self._scores(rows)) / (len(ids) - 1), len(ids) - 1

    def _scores(self, rows: Sequence[tuple[list[int], int]]) -> Iterator[float]:
        """Of rows of tokens, each with how many at its end count: the sum of their ln likelihoods."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda row: self._score(*row), rows)

    def _score(self, row: list[int], scored: int) -> float:
        told = self._complete(prompt=row, max_tokens=1, temperature=0, logprobs=1, echo=True)["token_logprobs"]
        values = told[len(row) - scored : len(row)]
        if len(told) < len(row) or None in values:
            raise ModelError(f"of {len(row)} tokens of a prompt the server tells {len(told)} logprobs", where=self.url)
        return math.fsum(values)

    def _likeliest(self, context: str, continuations: Sequence[str]) -> list[float]:
        """Of single tokens: what is not among the likeliest counts as impossible."""
        answer = self._complete(prompt=context, max_tokens=1, temperature=0, logprobs=MOST_LOGPROBS)
        top: Mapping[str, float] = answer["top_logprobs"][0]
        told: dict[str, float] = {}
        for token, value in top.items():
            told[token.strip()] = max(value, told.get(token.strip(), -math.inf))
        return [told.get(each, -math.inf) for each in continuations]

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        """As the server reads it."""
        try:
            asked = {"model": self.model, "prompt": text, "add_special_tokens": special}
            tokens: list[int] = self._ask("/tokenize", asked)["tokens"]
        except Refused as error:
            if self._directory is None or error.code not in (404, 405):
                raise
            tokens = read_tokenizer(self._directory).encode(text, add_special_tokens=special).ids
        return tokens

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
        # As UTF-8: six bytes for each Chinese character would make a text longer than what gateways take.
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                wait = error.headers.get("Retry-After") or ""
                if error.code == 429 and left and wait.isdigit():
                    time.sleep(min(int(wait), 30))
                    continue
                said = error.read(500).decode("utf-8", "replace")
                raise Refused(f"{path} was refused with {error.code}: {said}", error.code, self.url) from None
            except (OSError, ValueError, HTTPException) as error:  # the last: it broke off
                raise ModelError(
                    f"{path} did not answer: {error}", where=self.url, fix="is it ready? GET /ready"
                ) from None
        raise AssertionError
