"""`wxruntime check`: exit codes, what it says, and which kind of file it takes a file for. No PyTorch is imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from profile_case import facts, write_profile

from wxruntime.cli import main


def check(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)], input=stdin)


def test_what_will_be_run_and_what_it_takes_is_shown(tmp_path: Path) -> None:
    host = tmp_path / "audit.json"
    host.write_text(facts({"gpus": ["H100"]}))
    done = check(write_profile(tmp_path, {"max_model_len": 32768}), "--model", "ernie-4.5-21b-a3b", "--host", host)
    assert done.exit_code == 0, done.output
    assert "vllm 0.32.0 serves ernie-4.5-21b-a3b in bf16" in done.stdout
    assert "each of 1 x H100: weights 40.7 GiB, KV cache 1.8 GiB for 32,768 tokens, of 70.0 GiB" in done.stdout
    assert "run: HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 vllm serve /models" in done.stdout


def test_a_refusal_exits_with_2_and_each_mistake_has_its_line(tmp_path: Path) -> None:
    done = check(write_profile(tmp_path, {"version": "0.20.0", "tensor_parallel": 3}), "--model", "ernie-4.5-0.3b")
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split(":")[1:3] for line in done.stderr.splitlines() if "warning" not in line] == [
        ["2", "1"],
        ["7", "1"],
    ]


def test_facts_come_from_a_pipe_too(tmp_path: Path) -> None:
    done = check(
        write_profile(tmp_path, {}), "--model", "ernie-4.5-300b-a47b", "--host", "-", stdin=facts({"gpus": ["L4"]})
    )
    assert done.exit_code == 2
    assert "nothing of this model fits here" in done.stderr or "GPUs of 24 GiB" in done.stderr


def test_json_has_the_command_as_lists(tmp_path: Path) -> None:
    done = check(write_profile(tmp_path, {}), "--json")
    told = json.loads(done.stdout)
    assert told["ok"] and told["commands"][0]["entrypoint"] == ["vllm", "serve"]
    refused = check(write_profile(tmp_path, {"version": None}), "--json")
    assert refused.exit_code == 2 and not json.loads(refused.stdout)["ok"]


def test_a_checkpoint_of_one_precision_is_named_with_it(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, {"precision": ["bf16", "int4"]})
    done = check(profile, "--model", "ernie-4.5-0.3b", "--model", "int4=/nowhere")
    assert done.exit_code == 2 and "there is no directory /nowhere" in done.stderr


def test_a_gateway_s_file_is_told_by_its_top_key(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("models: [{name: ernie, replicas: [{url: 'http://127.0.0.1:8000'}]}]\n")
    assert "a gateway for 1 model(s)" in check(config).stdout
    config.write_text("models: [{name: ernie, replicas: []}]\n")
    assert check(config).exit_code == 2


@pytest.mark.parametrize("text", ["", "- a\n", "engine: [\n", "engine: {}\n", "\t"])
def test_a_file_that_says_nothing_is_refused_without_a_traceback(text: str, tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    done = check(file)
    assert done.exit_code == 2
    assert "profile.yaml:" in done.stderr and "Traceback" not in done.output


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = check(tmp_path / "nowhere.yaml")
    assert done.exit_code == 2 and "cannot be read" in done.stderr


def test_a_check_imports_no_pytorch() -> None:
    import subprocess

    code = (
        "import sys, wxruntime.cli.check, wxruntime.profile.plan, wxruntime.profile.host; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
