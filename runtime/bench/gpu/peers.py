"""What others make of the same shapes.

peers.py generate s|m
peers.py continuous s|m [--ours]
peers.py vllm s|m DIRECTORY [--fp8]
"""

from __future__ import annotations

import sys
import time

import torch
from points import LONG, SHORT, median, name, prompt, tell
from shapes import CONTEXT, options


def random_model(model: str, attention: str) -> object:
    from transformers import Ernie4_5Config, Ernie4_5ForCausalLM
    from transformers.initialization import no_init_weights

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = Ernie4_5Config(**options(model))
    with no_init_weights(), torch.device("cuda"):
        made = Ernie4_5ForCausalLM._from_config(config, attn_implementation=attention)
    torch.set_default_dtype(torch.float32)
    for weight in made.parameters():
        with torch.no_grad():
            weight.fill_(1) if weight.dim() == 1 else weight.normal_(0, 0.02)
    made.generation_config.eos_token_id = None
    return made.eval()


def generate(model: str) -> None:
    made = random_model(model, "sdpa")

    def run(tokens: int, count: int) -> float:
        ids = torch.tensor([prompt(tokens)], device="cuda")
        torch.cuda.synchronize()
        began = time.perf_counter()
        with torch.inference_mode():
            mask = torch.ones_like(ids)
            out = made.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=count, pad_token_id=0)
        torch.cuda.synchronize()
        assert out.shape[1] == tokens + count
        return time.perf_counter() - began

    run(128, 8)
    tell("transformers generate", f"{model} bf16", name(SHORT[0]), tok_s=128 / run(128, 128))


def continuous(model: str, ours: bool) -> None:
    """transformers' continuous batching: with its `sdpa`, for there is no hub; or with our attention."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    from wxruntime.attention import install

    made = random_model(model, "sdpa")
    if ours:
        install(made)
    who = "transformers batching" + (", our attention" if ours else "")
    settings = GenerationConfig(max_new_tokens=128, do_sample=False, eos_token_id=-1, pad_token_id=0, use_cache=False)
    batching = ContinuousBatchingConfig(
        max_batch_tokens=2048, num_blocks=512, max_requests_per_batch=256, auto_switch_to_flash=False
    )
    manager = made.init_continuous_batching(generation_config=settings, continuous_batching_config=batching)
    manager.start()

    def run(batch: int, tokens: int, count: int) -> float:
        asked = [prompt(tokens) for _ in range(batch)]
        began = time.perf_counter()
        manager.add_requests(asked, max_new_tokens=count)
        left, told = batch, 0
        while left:
            answer = manager.get_result(timeout=30)
            if answer is None or answer.error:
                raise SystemExit(f"continuous batching gave {answer and answer.error}")
            left, told = left - 1, told + len(answer.generated_tokens)
        assert told == batch * count, (told, batch, count)
        return time.perf_counter() - began

    run(2, 128, 4)
    for point in (SHORT[0], SHORT[1], SHORT[3]):
        tell(who, f"{model} bf16", name(point), tok_s=point[0] * point[2] / run(*point))
    manager.stop(block=True, timeout=10)


def vllm(model: str, directory: str, fp8: bool) -> None:
    import vllm as library

    began = time.perf_counter()
    engine = library.LLM(model=directory, load_format="dummy", skip_tokenizer_init=True, dtype="bfloat16",
                         max_model_len=CONTEXT, gpu_memory_utilization=0.9, max_num_seqs=256, seed=0,
                         enable_prefix_caching=True, **({"quantization": "fp8"} if fp8 else {}))  # fmt: skip
    tag = f"{model} {'FP8' if fp8 else 'bf16'}"
    who = f"vLLM {library.__version__}"

    def run(batch: int, tokens: int, count: int, prompts: list[list[int]] | None = None) -> float:
        asked = [{"prompt_token_ids": each} for each in prompts or [prompt(tokens) for _ in range(batch)]]
        sampling = library.SamplingParams(temperature=0, max_tokens=count, ignore_eos=True, detokenize=False)
        began = time.perf_counter()
        answers = engine.generate(asked, sampling, use_tqdm=False)
        took = time.perf_counter() - began
        assert sum(len(each.outputs[0].token_ids) for each in answers) == batch * count
        return took

    run(256, 128, 8)
    tell(who, tag, "start", s=time.perf_counter() - began)
    for tokens in (128, 1024):
        tell(who, tag, f"{tokens} -> 1", ms=1e3 * median(lambda n=tokens: run(1, n, 1), 7))
    tell(who, tag, "4096 -> 1, cold", ms=1e3 * median(lambda: run(1, 4096, 1), 5))
    long = prompt(4096)
    run(1, 4096, 1, [long])
    tell(who, tag, "4096 -> 1, prefix in the pool", ms=1e3 * median(lambda: run(1, 4096, 1, [long]), 5))
    for point in [*SHORT, LONG[0], LONG[3]]:
        took = min(run(*point) for _ in range(2 if point[2] < 1024 else 1))
        tell(who, tag, name(point), tok_s=point[0] * point[2] / took)


if __name__ == "__main__":  # vLLM starts this file again in a process of its own
    kind, which, *rest = sys.argv[1:]
    if kind == "vllm":
        vllm(which, rest[0], "--fp8" in rest)
    elif kind == "continuous":
        continuous(which, "--ours" in rest)
    else:
        generate(which)
