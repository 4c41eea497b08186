"""One table for one card: our backend, our server, and peers, each as a share of what the card was measured to give.

    python3 runtime/bench/gpu/table.py [--seconds 540] [--out DIRECTORY] [STAGE ...]

Every stage is a process of its own, so that one that fails or hangs costs itself only; its figures are printed and
written to DIRECTORY/figures.json as they come. A stage for which there is no time left is named as not run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNTIME = HERE.parents[1]
sys.path.insert(0, str(HERE))

from points import CHECK, LONG, SHORT, name  # noqa: E402 - beside this file
from shapes import Rates, roofline_s  # noqa: E402

# Name: (command, seconds that it takes, seconds after which it is ended). In order of what matters most.
STAGES: dict[str, tuple[list[str], int, int]] = {
    "roofline": (["roofline.py"], 10, 60),
    "ours s": (["ours.py", "s"], 45, 90),
    "ours m": (["ours.py", "m"], 65, 110),
    "ours m fp8": (["ours.py", "m", "--fp8"], 50, 90),
    "checkpoint s": (["checkpoint.py", "s", "{models}/s"], 10, 40),
    "served s": (["served.py", "s", "{models}/s"], 45, 90),
    "vllm s": (["peers.py", "vllm", "s", "{models}/s"], 85, 130),
    "config m": (["checkpoint.py", "m", "{models}/m0", "--no-weights"], 5, 20),
    "vllm m": (["peers.py", "vllm", "m", "{models}/m0"], 100, 140),
    "ours s fp8": (["ours.py", "s", "--fp8"], 35, 60),
    "checkpoint m": (["checkpoint.py", "m", "{models}/m"], 25, 60),
    "served m": (["served.py", "m", "{models}/m"], 50, 90),
    "continuous s": (["peers.py", "continuous", "s"], 25, 45),
    "continuous m": (["peers.py", "continuous", "m"], 25, 45),
    "continuous s, our attention": (["peers.py", "continuous", "s", "--ours"], 25, 45),
    "generate s": (["peers.py", "generate", "s"], 15, 30),
    "generate m": (["peers.py", "generate", "m"], 20, 40),
    "vllm m fp8": (["peers.py", "vllm", "m", "{models}/m0", "--fp8"], 85, 130),
    "rounded s": (["rounded.py", "{models}/s"], 130, 240),
    "prompt logprobs s": (["prompt_logprobs.py", "s", "{models}/s"], 60, 150),
    "prompt logprobs mixture": (["prompt_logprobs.py", "mixture", "{models}/mixture"], 30, 120),
}
# A stage that needs what another has made.
NEEDS = {
    "served s": "checkpoint s",
    "prompt logprobs s": "checkpoint s",
    "served m": "checkpoint m",
    "vllm s": "checkpoint s",
    "vllm m": "config m",
    "vllm m fp8": "config m",
    "rounded s": "checkpoint s",
}


def run(stage: str, models: str, figures: list[dict[str, Any]], out: Path, left: float) -> str:
    """Run it; its figures join `figures` as they come. Returns what went wrong, or nothing."""
    command, _, most = STAGES[stage]
    path = os.pathsep.join(filter(None, [str(RUNTIME), os.environ.get("PYTHONPATH")]))
    arguments = [sys.executable, str(HERE / command[0]), *[each.format(models=models) for each in command[1:]]]
    log = (out / "log").open("a")
    log.write(f"== {stage}\n")
    log.flush()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                               env=os.environ | {"PYTHONPATH": path, "VLLM_LOGGING_LEVEL": "WARNING"})  # fmt: skip
    timer = threading.Timer(min(most, left), lambda: os.killpg(process.pid, 9))
    timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("FIG "):
            figures.append(json.loads(line[4:]))
            (out / "figures.json").write_text(json.dumps(figures, indent=1))
            print(line[4:].rstrip(), flush=True)
        else:
            log.write(line)
    code = process.wait()
    timer.cancel()
    log.close()
    if not code:
        return ""
    tail = Path(log.name).read_text(errors="replace").strip().splitlines()[-6:]
    return f"ended with {code}: " + " | ".join(tail)[-700:]


def table(figures: list[dict[str, Any]]) -> str:
    """A row for each workload, a column for each engine, a block for each model."""
    checks = [each for each in figures if each["what"] == CHECK]
    figures = [each for each in figures if each["what"] != CHECK]
    found = {(each["engine"], each["model"], each["what"]): each for each in figures}
    card = next((each for each in figures if each["engine"] == "card"), None)
    rates = Rates(card["read"], card["bf16"], card["fp8"]) if card else None
    lines = []
    if card:
        lines.append(
            f"{card['model']}, torch {card['torch']}: reads {card['read'] / 1e12:.2f} TB/s, "
            f"bf16 {card['bf16'] / 1e12:.0f} TFLOP/s, FP8 {card['fp8'] / 1e12:.0f} TFLOP/s"
        )
    for model in dict.fromkeys(each["model"] for each in figures if each["engine"] != "card"):
        if model == "rounded":
            lines += ["", *rounded(figures)]
            continue
        engines = list(dict.fromkeys(each["engine"] for each in figures if each["model"] == model))
        lines += ["", f"| {model} | " + " | ".join(engines) + " |", "|---" * (len(engines) + 1) + "|"]
        for point in SHORT + LONG:
            cells = []
            for engine in engines:
                rate = found.get((engine, model, name(point)), {}).get("tok_s")
                if rate is None:
                    cells.append("")
                    continue
                share = ""
                if rates:
                    best = point[0] * point[2] / roofline_s(model[0], "FP8" in model, rates, *point)
                    share = f" ({rate / best:.0%})"
                cells.append(f"{rate:,.0f}{share}")
            lines.append(f"| {name(point)}, tok/s (of roofline) | " + " | ".join(cells) + " |")
        for what in ("128 -> 1", "1024 -> 1", "4096 -> 1, cold", "4096 -> 1, prefix in the pool"):
            times = [found.get((engine, model, what), {}).get("ms") for engine in engines]
            if any(times):
                cells = [f"{each:.1f}" if each else "" for each in times]
                lines.append(f"| {what}, ms | " + " | ".join(cells) + " |")
        starts = [found.get((engine, model, "start"), {}).get("s") for engine in engines]
        lines.append("| start, s | " + " | ".join(f"{each:.0f}" if each else "" for each in starts) + " |")
        memory = found.get(("ours", model, "memory"))
        if memory:
            lines.append(
                f"| memory, ours: weights {memory['weights_GiB']:.2f} GiB, all but the KV cache "
                f"{memory['without_cache_GiB']:.2f} GiB, KV cache {memory['cache_GiB']:.1f} GiB |" + " |" * len(engines)
            )
        for point in [*SHORT, LONG[3]]:
            offline, served = (found.get((who, model, name(point)), {}) for who in ("ours", "our server"))
            if offline and served:
                lines.append(
                    f"server / offline at {name(point)}: {served['tok_s'] / offline['tok_s']:.0%}; TTFT p50 "
                    f"{served['ttft_ms_p50']:.0f} ms, p99 {served['ttft_ms_p99']:.0f} ms, "
                    f"{served['tokens_an_event']:.1f} tokens an event"
                )
                lines.append(
                    f"  ms from the first request sent: with the engine {served['first_asked_ms']:.1f} to "
                    f"{served['all_asked_ms']:.1f}, prompts read {served['prompts_read_ms']:.1f} (offline "
                    f"{offline['prompts_read_ms']:.1f}), last token made {served['last_made_ms']:.1f} (offline "
                    f"{offline['end_ms']:.1f}), heard {served['last_heard_ms']:.1f}, with the clients "
                    f"{served['end_ms']:.1f}; a step {served['step_ms']:.3f} (offline {offline['step_ms']:.3f})"
                )
    for each in checks:
        off = f"{CHECK} by {each['mean']:.2g} on the average, {each['most']:.2g} at most"
        lines.append(
            f"{each['model']}, {each['engine']}: {off}" + (f"; {each['verdict']}" if "verdict" in each else "")
        )
    return "\n".join(lines)


def rounded(figures: list[dict[str, Any]]) -> list[str]:
    """What vLLM made of our quantized checkpoints, beside what our own scorer made of them."""
    lines = ["| checkpoint of s | perplexity, ours | vLLM's | same likeliest token |", "|---|---|---|---|"]
    for each in figures:
        if each["model"] == "rounded":
            if "failed" in each:
                lines.append(f"| {each['what']} | | vLLM ended with {each['failed']} | |")
                continue
            same = f"{each['same']:.1%} of {each['tokens']:,}"
            lines.append(f"| {each['what']} | {each['ours']:,.0f} | {each['theirs']:,.0f} | {same} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stages", nargs="*")
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "/tmp/bench-gpu")))
    parser.add_argument("--models", default="/tmp/bench-models")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    until = time.time() + asked.seconds
    figures: list[dict[str, Any]] = []
    notes, done = [], set()
    for stage in asked.stages or STAGES:
        left = until - time.time()
        if STAGES[stage][1] > left:
            notes.append(f"not run: {stage} (takes about {STAGES[stage][1]} s, {left:.0f} s were left)")
            continue
        if NEEDS.get(stage, stage) != stage and NEEDS[stage] not in done:
            notes.append(f"not run: {stage} (needs {NEEDS[stage]})")
            continue
        began = time.time()
        wrong = run(stage, asked.models, figures, asked.out, left)
        print(f"# {stage}: {time.time() - began:.0f} s {wrong}", flush=True)
        if wrong:
            notes.append(f"{stage}: {wrong}")
        else:
            done.add(stage)
    whole = "\n".join([table(figures), "", *notes])
    (asked.out / "table.md").write_text(whole)
    print(whole)


main()
