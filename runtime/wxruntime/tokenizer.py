"""Text to tokens and back, and a conversation to the text that the model was trained on. Neither needs transformers.

The chat template is the checkpoint's own, run in Jinja2's sandbox with what transformers gives a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from wxruntime.checkpoint import Checkpoint, CheckpointError

# What a template may print of tokenizer_config.json.
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# SentencePiece's name of a byte that is a token of its own.
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")


@cache
def _byte_letters() -> dict[str, int]:
    """How byte-level BPE writes bytes in its vocabulary: those that Latin-1 prints as that, others from U+0100 on."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


class PromptError(ValueError):
    """Messages that the checkpoint's chat template does not take."""


class TextTokenizer:
    """A checkpoint's tokenizer and chat template. Safe to use from any thread."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.tokens = _load(checkpoint)
        config_path = checkpoint.directory / "tokenizer_config.json"
        try:
            config = json.loads(config_path.read_bytes()) if config_path.is_file() else {}
            self._named = {name: _content(config[name]) for name in NAMED_TOKENS if config.get(name)}
            source = _template_source(checkpoint.directory, config)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(f"{config_path} cannot be read: {error!r}") from error
        try:
            self._template = None if source is None else _environment().from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"{checkpoint.directory}: the chat template is none: {error}") from error

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        # Of a batch, since that lets other threads run: `encode` stopped all streams for a long text's seconds.
        return self.tokens.encode_batch_fast([text], add_special_tokens=special)[0].ids

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], *, answer: bool = True) -> list[int]:
        """The conversation in the checkpoint's chat template, up to where the assistant speaks."""
        if self._template is None:
            raise PromptError("this checkpoint has no chat template; it answers /v1/completions")
        try:
            text = self._template.render(messages=messages, add_generation_prompt=answer, **self._named)
        except TemplateError as error:
            raise PromptError(f"the checkpoint's chat template refuses these messages: {error}") from error
        return self.encode(text, special=False)

    def decode(self, tokens: Sequence[int], *, skip_special: bool = True) -> str:
        return self.tokens.decode(list(tokens), skip_special_tokens=skip_special)

    def token_bytes(self, token: int) -> bytes:
        """A token's UTF-8, which is a part of a character's where several tokens make one."""
        text = self.decode([token], skip_special=False)
        if "\N{REPLACEMENT CHARACTER}" not in text:
            return text.encode()
        piece = self.tokens.id_to_token(token) or ""
        if named := BYTE_PIECE.fullmatch(piece):
            return bytes.fromhex(named[1])
        letters = _byte_letters()
        if all(letter in letters for letter in piece):
            return bytes(letters[letter] for letter in piece)
        return text.encode()


def _load(checkpoint: Checkpoint) -> Tokenizer:
    path = checkpoint.directory / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path.is_file() else _convert(checkpoint.directory)
    except Exception as error:  # the library raises Exception itself for what it cannot read
        raise CheckpointError(f"{checkpoint.directory}: the tokenizer cannot be loaded: {error!r}") from error
    if tokenizer.get_vocab_size() > checkpoint.vocab_size:
        has, takes = tokenizer.get_vocab_size(), checkpoint.vocab_size
        raise CheckpointError(f"{checkpoint.directory}: the tokenizer has {has} tokens, the model {takes}")
    return tokenizer


def _convert(directory: Path) -> Tokenizer:
    """A tokenizer.model of SentencePiece, which only transformers can turn into the library's own."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    tokenizer: Tokenizer = loaded.backend_tokenizer
    return tokenizer


def _content(token: str | Mapping[str, Any]) -> str:
    """A token is its text, or an object that has it."""
    return token if isinstance(token, str) else str(token["content"])


def _template_source(directory: Path, config: Mapping[str, Any]) -> str | None:
    """From a file of its own, or from tokenizer_config.json: there it is a text, or several by name."""
    path = directory / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        return {str(each["name"]): str(each["template"]) for each in template}.get("default")
    return template if isinstance(template, str) else None


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _refuse(message: str) -> None:
    raise TemplateError(message)
