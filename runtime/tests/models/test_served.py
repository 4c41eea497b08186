"""What a served model is found to be worth is what it is worth in process."""

from __future__ import annotations

import io
import json
import shutil
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Server

from wxruntime.cli.model import model
from wxruntime.models.errors import ModelError
from wxruntime.models.questions import LETTERS, SMOKE, read_questions
from wxruntime.models.scoring import Scorer
from wxruntime.models.served import Served
from wxruntime.tiny_text import ENDLESS_ANSWER, LESSONS


def evaluated(*arguments: str | Path) -> Any:
    done = CliRunner().invoke(model, ["eval", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of more than two windows, the last of which is cut."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(line for lesson in LESSONS for line in lesson) * 3 + ENDLESS_ANSWER * 29)
    return path


def test_perplexity_and_right_answers_over_the_api_are_those_in_process(
    tiny: Path, server: Server, text: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny, tmp_path / "tiny")  # beside which the result is kept
    here = evaluated(copy, "--device", "cpu", "--text", text, "--smoke")
    there = evaluated("--url", str(server.client.base_url), "--text", text, "--smoke")
    assert there["text"]["tokens"] == here["text"]["tokens"] > 2 * 512
    assert there["text"]["perplexity"] == pytest.approx(here["text"]["perplexity"], abs=1e-4)
    assert there["choices"] == here["choices"] and here["choices"][0]["asked"] == 60
    assert there["how"] == f"over {str(server.client.base_url).rstrip('/')}, model tiny"


def test_a_continuation_is_as_likely_over_the_api_as_in_process(tiny: Path, server: Server) -> None:
    """Also one of several tokens, and one that is among nobody's likeliest."""
    served, scorer = Served(str(server.client.base_url)), Scorer(tiny, "cpu")
    continuations = [*LETTERS, "北京。", "Hello! Nice", "龘"]
    for question in read_questions(SMOKE)[:6]:
        there = served.likelihoods(question.prompt(), continuations)
        assert there == pytest.approx(scorer.likelihoods(question.prompt(), continuations), abs=1e-4)
    assert served.echoes


def test_an_empty_text_is_told_as_in_process(tiny: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    for whom in (["--url", str(server.client.base_url)], [str(tiny), "--device", "cpu"]):
        done = CliRunner().invoke(model, ["eval", *whom, "--text", str(tmp_path / "empty.txt")])
        assert done.exit_code == 1 and "this text has 0 tokens" in done.output


def test_an_answer_that_breaks_off_is_an_error_that_names_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        asked = pool.submit(Served, url)
        with listening.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        with pytest.raises(ModelError, match=f"{url}(.|\n)*did not answer: IncompleteRead"):
            asked.result(timeout=20)


def test_a_text_goes_out_in_its_own_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def answer(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert isinstance(request.data, bytes)
        sent.append(request.data)
        return io.BytesIO(b'{"tokens": [1], "choices": [{"logprobs": {"top_logprobs": [{"A": -1.0}]}}]}')

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    Served("http://nowhere.example", model="tiny").likelihoods("北京" * 1000, [])
    assert len(sent[0]) < 2 * len("北京".encode() * 1000)
