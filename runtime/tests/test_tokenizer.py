"""Text to tokens and back loses nothing, and a conversation is written as transformers would write it."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.tokenizer import PromptError, TextTokenizer

MESSAGES = [
    {"role": "system", "content": "简短回答。"},
    {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "你好！"},
    {"role": "user", "content": "再见"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> TextTokenizer:
    return TextTokenizer(read_checkpoint(tiny))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.mark.parametrize("text", ["你是谁？", "鑫龘𠮷野家 🐼", "Mixed 中文 and English.\n\t二", "从前有座山"])
def test_every_text_comes_back(tokenizer: TextTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ["鑫龘𠮷野家 🐼", "Mixed 中文\n\t\x01", "你是谁？"])
def test_the_bytes_of_tokens_are_those_of_their_text(tokenizer: TextTokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert any("\ufffd" in tokenizer.decode([token]) for token in tokens), "a character spans tokens"
    assert b"".join(map(tokenizer.token_bytes, tokens)) == text.encode()


def test_a_byte_of_sentencepieces_is_that_byte(copy: Path) -> None:
    whole = json.loads((copy / "tokenizer.json").read_text())
    vocabulary = {"<unk>": 0, "�": 1, "文": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    whole["model"] = {"type": "BPE", "vocab": vocabulary, "merges": [], "byte_fallback": True, "unk_token": "<unk>"}
    whole |= {"decoder": {"type": "ByteFallback"}, "pre_tokenizer": None, "post_processor": None, "added_tokens": []}
    (copy / "tokenizer.json").write_text(json.dumps(whole))
    tokenizer = TextTokenizer(read_checkpoint(copy))
    tokens = tokenizer.encode("文心�")
    assert len(tokens) == 5 and b"".join(map(tokenizer.token_bytes, tokens)) == "文心�".encode()


def test_other_threads_run_while_a_long_text_is_read(tokenizer: TextTokenizer) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tokenizer.encode, "文" * 300_000)
        turns = 0
        while not reading.done():
            time.sleep(0.001)
            turns += 1
    assert len(reading.result()) >= 300_000 and turns > 20


def test_a_chat_is_written_in_ernies_template(tokenizer: TextTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode_chat(MESSAGES), skip_special=False) == (
        "<|begin_of_sentence|>简短回答。\nUser: 你好\nAssistant: 你好！<|end_of_sentence|>User: 再见\nAssistant: "
    )


@pytest.mark.parametrize("answer", [True, False])
def test_a_chat_has_the_tokens_that_transformers_gives_it(tiny: Path, tokenizer: TextTokenizer, answer: bool) -> None:
    theirs = AutoTokenizer.from_pretrained(tiny)
    expected = theirs.apply_chat_template(MESSAGES, add_generation_prompt=answer, return_dict=False)
    assert tokenizer.encode_chat(MESSAGES, answer=answer) == expected


def test_a_template_may_lie_in_the_configuration_too(copy: Path, tokenizer: TextTokenizer) -> None:
    template = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").unlink()
    config = copy / "tokenizer_config.json"
    for written in (template, [{"name": "tool_use", "template": "x"}, {"name": "default", "template": template}]):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": written}))
        assert TextTokenizer(read_checkpoint(copy)).encode_chat(MESSAGES) == tokenizer.encode_chat(MESSAGES)


def test_messages_that_the_template_refuses_are_an_error_that_says_so(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ raise_exception('the roles must alternate') }}")
    with pytest.raises(PromptError, match="the roles must alternate"):
        TextTokenizer(read_checkpoint(copy)).encode_chat(MESSAGES)


def test_without_a_template_there_is_no_chat(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(PromptError, match="no chat template"):
        TextTokenizer(read_checkpoint(copy)).encode_chat(MESSAGES)


def test_a_template_cannot_reach_out_of_its_sandbox(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(PromptError):
        TextTokenizer(read_checkpoint(copy)).encode_chat(MESSAGES)


def test_a_broken_tokenizer_is_refused_by_name(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="tokenizer cannot be loaded"):
        TextTokenizer(read_checkpoint(copy))


def test_a_template_or_configuration_that_cannot_be_read_is_refused_before_serving(copy: Path) -> None:
    checkpoint = read_checkpoint(copy)
    (copy / "chat_template.jinja").write_text("{% if messages %}")
    with pytest.raises(CheckpointError, match="the chat template is none: "):
        TextTokenizer(checkpoint)
    (copy / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json cannot be read"):
        TextTokenizer(checkpoint)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(copy: Path) -> None:
    config = copy / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 10}))
    with pytest.raises(CheckpointError, match="the model 10"):
        TextTokenizer(read_checkpoint(copy))
