"""The command: what `tiny` writes, how settings are given, what the health check and SIGTERM do."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from conftest import WXRUNTIME, Server, endless, run_wxruntime

from wxruntime.cli.engine import engine
from wxruntime.tiny import Recipe, make_checkpoint


def digests(directory: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in directory.iterdir()}


def test_equal_seeds_give_equal_files_and_others_do_not(tiny: Path, tmp_path: Path) -> None:
    assert run_wxruntime("tiny", tmp_path / "again", "--seed", "0").returncode == 0
    assert digests(tmp_path / "again") == digests(tiny)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_checkpoint(tmp_path / name, Recipe(seed=seed, taught=False))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a")["model.safetensors"] != digests(tmp_path / "c")["model.safetensors"]


def test_a_tiny_checkpoint_can_be_read_by_another_user(tiny: Path) -> None:
    assert {stat.S_IMODE(file.stat().st_mode) for file in tiny.iterdir()} == {0o644}


def test_tiny_leaves_a_full_directory_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    made = run_wxruntime("tiny", tmp_path)
    assert made.returncode == 1 and "not an empty directory" in made.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]


def test_every_setting_of_engine_is_an_environment_variable() -> None:
    for option in engine.params:
        assert option.envvar == f"WXRUNTIME_{str(option.name).upper()}"


def test_settings_are_taken_from_the_environment(tmp_path: Path) -> None:
    refused = run_wxruntime("engine", WXRUNTIME_MODEL=str(tmp_path / "nowhere"))
    assert refused.returncode == 1 and "nowhere is not a directory" in refused.stderr
    wrong = run_wxruntime("engine", WXRUNTIME_MODEL=str(tmp_path), WXRUNTIME_PORT="eighty")
    assert wrong.returncode == 2 and "--port" in wrong.stderr


@pytest.mark.parametrize("setting", ["LOG=loud", "DRAIN_SECONDS=-1", "STALL_SECONDS=0", "MEMORY_FRACTION=0"])
def test_a_setting_that_cannot_be_is_refused_by_its_name(tmp_path: Path, setting: str) -> None:
    name, value = setting.split("=")
    refused = run_wxruntime("engine", "--model", tmp_path, **{f"WXRUNTIME_{name}": value})
    assert refused.returncode == 2 and f"--{name.lower().replace('_', '-')}" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("path", "status", "says"), [("/ready", 0, ""), ("/health", 0, ""), ("/sick", 1, "answered 404")]
)
def test_the_health_check_tells_by_its_exit_status(server: Server, path: str, status: int, says: str) -> None:
    checked = run_wxruntime("healthcheck", str(server.client.base_url.join(path)))
    assert checked.returncode == status and says in checked.stderr


def test_the_health_check_asks_this_machines_server_by_default(server: Server) -> None:
    assert run_wxruntime("healthcheck", WXRUNTIME_PORT=str(server.client.base_url.port)).returncode == 0
    nobody = run_wxruntime("healthcheck", WXRUNTIME_PORT="9")
    assert nobody.returncode == 1 and "http://127.0.0.1:9/ready did not answer" in nobody.stderr


def test_sigterm_lets_a_running_answer_end_and_exits_with_0(serve: Callable[..., Server]) -> None:
    server = serve()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.client.post, "/v1/chat/completions", json=endless(max_tokens=600))
        server.wait_until("vllm:num_requests_running", 1)
        server.process.send_signal(signal.SIGTERM)
        assert asked.result().json()["usage"]["completion_tokens"] == 600
    assert server.process.wait(timeout=20) == 0


def test_sigterm_while_the_checkpoint_is_read_ends_it_at_once(tmp_path: Path) -> None:
    """As a container's first process, too, for which the system has no default."""
    os.mkfifo(tmp_path / "config.json")  # what reads it waits for ever
    reading = subprocess.Popen([WXRUNTIME, "engine", "--model", tmp_path], stderr=subprocess.PIPE)
    with open(tmp_path / "config.json", "wb"):  # opened as soon as the other end is
        reading.send_signal(signal.SIGTERM)
        assert reading.wait(timeout=20) == 0
    reading.communicate()


def test_the_drain_has_a_limit(serve: Callable[..., Server]) -> None:
    server = serve("--drain-seconds", "1")
    with server.client.stream("POST", "/v1/chat/completions", json=endless(stream=True)) as response:
        chunks = response.iter_bytes()
        next(chunks)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=6) == 0


def test_who_is_not_answered_when_the_drain_ends_hears_so(serve: Callable[..., Server]) -> None:
    """In the stream where one has begun, else by a 503 with which a gateway goes elsewhere."""
    server = serve("--drain-seconds", "1", "--max-sequences", "1")

    def ask(stream: bool) -> httpx.Response:
        return server.client.post("/v1/chat/completions", json=endless(stream=stream))

    with ThreadPoolExecutor(3) as pool:
        begun = pool.submit(ask, True)
        server.wait_until("vllm:num_requests_running", 1)
        waiting = [pool.submit(ask, stream) for stream in (True, False)]
        server.wait_until("vllm:num_requests_waiting", 2)
        server.process.send_signal(signal.SIGTERM)
        *_, failure, done, _ = begun.result().text.split("\n\n")
        assert (json.loads(failure.removeprefix("data: "))["error"]["code"], done) == ("going_down", "data: [DONE]")
        for each in waiting:
            refused = each.result()
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert refused.json()["error"]["code"] == "going_down"
    assert server.process.wait(timeout=20) == 0
