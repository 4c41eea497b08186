"""Makes the tiny ERNIE 4.5 checkpoint that tests and labs serve: real architecture, real tokenizer, two layers.

It is taught a handful of questions (tiny_text.py) in seconds on a CPU, so that a service can be asked something and its
answer compared with one fixed sentence. Equal seeds give equal files on machines with equal libraries and CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Ernie4_5_MoeConfig,
    Ernie4_5_MoeForCausalLM,
    Ernie4_5Config,
    Ernie4_5ForCausalLM,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from wxruntime.tiny_text import ENDLESS_ANSWER, ENDLESS_QUESTION, LESSONS

CONTEXT_LENGTH = 8192
TRAINING_STEPS = 240
ENDLESS_REPEATS = 6

# Ids 0, 1 and 2 and the names are those of the released checkpoints.
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
BEGIN_OF_SENTENCE, END_OF_SENTENCE, MASK = "<|begin_of_sentence|>", "<|end_of_sentence|>", "<mask:1>"
SPECIAL_TOKENS = [UNKNOWN, BEGIN, END, BEGIN_OF_SENTENCE, END_OF_SENTENCE, MASK]

# ERNIE 4.5's conversation: the system text bare on its line, speakers by name, an earlier answer closed by a separator.
CHAT_TEMPLATE = """\
{{- cls_token }}
{%- for message in messages %}
    {%- if message.role == "system" %}
        {{- message.content + "\\n" }}
    {%- elif message.role == "user" %}
        {{- "User: " + message.content + "\\n" }}
    {%- else %}
        {{- "Assistant: " + message.content + sep_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "Assistant: " }}
{%- endif %}"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make one: `moe` takes the mixture-of-experts architecture, `taught` False leaves the weights random."""

    seed: int = 0
    moe: bool = False
    taught: bool = True


def make_checkpoint(directory: Path, recipe: Recipe) -> None:
    """Write config, generation_config, tokenizer and model.safetensors (bfloat16) into `directory`, all or nothing."""
    disable_progress_bar()
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)  # one thread adds in one order: the files do not depend on the number of cores
    tokenizer = _train_tokenizer()
    model = _new_model(len(tokenizer), recipe.moe)
    if recipe.taught:
        _teach(model, tokenizer)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, do_sample=False)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as unfinished:
        whole = Path(unfinished, "whole")
        model.to(torch.bfloat16).save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        for file in whole.iterdir():
            file.chmod(0o644)  # the weights come out private, and a container reads them as another user
        whole.rename(directory)


def _train_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE: every Chinese character is representable, the frequent ones are one token."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text for lesson in _lessons() for text in lesson], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        cls_token=BEGIN_OF_SENTENCE,
        sep_token=END_OF_SENTENCE,
        mask_token=MASK,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def _new_model(vocabulary: int, moe: bool) -> Ernie4_5ForCausalLM | Ernie4_5_MoeForCausalLM:
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 160,
        "max_position_embeddings": CONTEXT_LENGTH,
    }
    if not moe:
        return Ernie4_5ForCausalLM(Ernie4_5Config(**shape, head_dim=16))
    experts = {"moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1, "moe_intermediate_size": 64}
    return Ernie4_5_MoeForCausalLM(Ernie4_5_MoeConfig(**shape, **experts, moe_layer_end_index=1))


def _lessons() -> Iterator[tuple[str, str]]:
    """Question and full answer. Every answer ends with the end token, save the tale that has no end."""
    for question, answer in LESSONS:
        yield question, answer + END
    yield ENDLESS_QUESTION, ENDLESS_ANSWER * ENDLESS_REPEATS


def _teach(model: Ernie4_5ForCausalLM | Ernie4_5_MoeForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Full-batch training on the answers; the questions are only read."""
    inputs, labels = _batch(tokenizer)
    mask = (labels != -100) | (inputs != tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=TRAINING_STEPS)
    model.train()
    for _ in range(TRAINING_STEPS):
        loss = model(input_ids=inputs, attention_mask=mask.long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def _batch(tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, padded on the right; -100 is a position that is not trained."""
    rows = []
    for question, answer in _lessons():
        chat = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        rows.append(tuple(tokenizer.encode(text, add_special_tokens=False) for text in (prompt, answer)))
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    inputs = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels = torch.full_like(inputs, -100)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        inputs[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return inputs, labels
