"""Questions put to a served model by lm-evaluation-harness, which has an environment of its own.

It draws in more than a hundred packages, so it is not installed with wxruntime: the command `lm_eval` is looked for on
the path, or named by $WXOPS_LM_EVAL. It is given a task of ours, so it needs no network and no tokenizer: the model
writes an answer, and the first letter in it counts.

    python3 -m venv lm-eval && lm-eval/bin/pip install 'lm-eval[api]'
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wxruntime.models.errors import ModelError
from wxruntime.models.evaluate import Choice
from wxruntime.models.questions import Question
from wxruntime.models.served import KEY_VARIABLE

PROGRAM_VARIABLE = "WXOPS_LM_EVAL"
TASK = "wxops_questions"


def ask_by_harness(url: str, model: str, name: str, questions: Sequence[Question]) -> Choice:
    """url: without /v1. Raise ModelError where lm_eval is not there or fails."""
    with TemporaryDirectory() as scratch:
        at = Path(scratch)
        rows = [{"prompt": each.prompt(), "right": each.right, "subject": each.subject} for each in questions]
        data = at / "questions.jsonl"
        data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        (at / f"{TASK}.yaml").write_text(json.dumps(_task(data), indent=1))  # JSON is YAML
        _run(_program(), url, model, at)
        return Choice(name, _by_subject(at / "out", rows))


def _task(data: Path) -> dict[str, Any]:
    return {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{right}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "temperature": 0, "max_gen_toks": 8},
        "filter_list": [
            {
                "name": "letter",
                "filter": [{"function": "regex", "regex_pattern": "([ABCD])"}, {"function": "take_first"}],
            }
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1},
    }


def _program() -> str:
    named = os.environ.get(PROGRAM_VARIABLE) or shutil.which("lm_eval")
    if not named:
        raise ModelError(
            "lm_eval is not on the path",
            fix="install it in an environment of its own, pip install 'lm-eval[api]', "
            f"and name it: {PROGRAM_VARIABLE}=ENVIRONMENT/bin/lm_eval; or ask without --lm-eval",
        )
    return named


def _run(program: str, url: str, model: str, at: Path) -> None:
    settings = {
        "base_url": f"{url}/v1/completions",
        "model": model,
        "tokenizer_backend": "none",
        "tokenized_requests": "False",
        "num_concurrent": "1",  # 0.4.13 with 8 ended in aiohttp's "Connector is closed"
    }
    command = [program, "run", "--model", "local-completions", "--tasks", TASK, "--include_path", str(at)]
    command += ["--model_args", ",".join(f"{key}={value}" for key, value in settings.items())]
    command += ["--output_path", str(at / "out"), "--log_samples"]
    key = os.environ.get(KEY_VARIABLE, "none")  # it insists on one
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(at / "cache"), "OPENAI_API_KEY": key}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise ModelError(f"it cannot be started: {error.strerror}", where=program) from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-3:] or ["it said nothing"]
        raise ModelError(f"it ended with {done.returncode}: " + " / ".join(last), where=program)


def _by_subject(out: Path, rows: Sequence[dict[str, str]]) -> dict[str, tuple[int, int]]:
    subjects: dict[str, tuple[int, int]] = {}
    samples = next(iter(sorted(out.rglob("samples_*.jsonl"))), None)
    if samples is None:
        raise ModelError("it left no samples", where="lm_eval")
    for line in samples.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        asked, right = subjects.get(sample["doc"]["subject"], (0, 0))
        subjects[sample["doc"]["subject"]] = (asked + 1, right + int(sample["exact_match"] == 1))
    if sum(asked for asked, _ in subjects.values()) != len(rows):
        raise ModelError(f"it answered not all of {len(rows)} questions", where="lm_eval")
    return subjects
