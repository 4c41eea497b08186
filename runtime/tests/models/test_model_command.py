"""The command `wxops model`, from a checkpoint to a smaller one and what it is worth."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import WXRUNTIME

from wxruntime.cli.model import model
from wxruntime.models.manifest import EVALUATION, MANIFEST, SIGNATURE
from wxruntime.models.report import REPORT
from wxruntime.models.shards import SINGLE
from wxruntime.models.store import describe_in_place
from wxruntime.tiny import Recipe, make_checkpoint
from wxruntime.tiny_text import LESSONS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "small"
    make_checkpoint(directory, Recipe(taught=False))
    return directory


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("keys") / "key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", at], check=True)
    subprocess.run(["openssl", "pkey", "-in", at, "-pubout", "-out", at.with_suffix(".pub")], check=True)
    return at


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def wxops_model(store: Path, *arguments: str | Path, code: int = 0) -> Result:
    done = CliRunner(env={"WXOPS_MODELS": str(store)}).invoke(model, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done


def as_json(store: Path, *arguments: str | Path, code: int = 0) -> Any:
    return json.loads(wxops_model(store, *arguments, "--json", code=code).stdout)


def test_a_checkpoint_is_added_listed_and_verified(made: Path, store: Path) -> None:
    wxops_model(store, "add", made, "--name", "ernie-small")
    (entry,) = as_json(store, "list")
    assert (entry["name"], entry["architecture"], entry["precision"]) == ("ernie-small", "ernie4_5", "bfloat16")
    assert not entry["signed"] and not entry["evaluated"]
    assert "ernie-small  ernie4_5" in wxops_model(store, "list").stdout
    assert "as in the manifest (SHA-256)" in wxops_model(store, "verify", "ernie-small").stdout
    assert {file.name for file in made.iterdir()} | {MANIFEST} == {
        file.name for file in (store / "ernie-small").iterdir()
    }


def test_a_name_of_the_store_that_is_a_directory_here_too_is_asked_about(
    made: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.parent)
    wxops_model(store, "add", "small")
    told = wxops_model(store, "verify", "small", code=1).output
    assert f"./small or {store / 'small'}" in told
    assert "there is no wxops-manifest.json" in wxops_model(store, "verify", "./small", code=1).output
    wxops_model(store, "verify", store / "small")
    monkeypatch.chdir(store)
    wxops_model(store, "verify", "small")


def test_a_damaged_file_is_named_and_the_exit_status_says_so(made: Path, store: Path) -> None:
    wxops_model(store, "add", made)
    (store / "small" / "tokenizer.json").write_text("{}")
    assert "tokenizer.json: has 2 bytes" in wxops_model(store, "verify", "small", code=1).stdout
    told = as_json(store, "verify", "small", code=1)
    assert [fault["path"] for fault in told["faults"]] == ["tokenizer.json"]


def test_a_signature_is_demanded_made_and_travels_with_an_export(made: Path, store: Path, key: Path) -> None:
    public = key.with_suffix(".pub")
    wxops_model(store, "add", made)
    assert "not signed" in wxops_model(store, "verify", "small", "--trusted-key", public, code=1).output
    wxops_model(store, "add", made, "--name", "signed", "--sign", key)
    wxops_model(store, "export", "signed", store.parent / "usb" / "signed")
    wxops_model(store.parent / "other", "add", store.parent / "usb" / "signed", "--name", "again")
    told = as_json(store.parent / "other", "verify", "again", "--trusted-key", public)
    assert told["signed_by"] == str(public) and told["faults"] == []
    assert as_json(store.parent / "other", "list")[0]["signed"]


def test_an_export_that_was_damaged_on_its_way_is_not_taken_in(made: Path, store: Path) -> None:
    wxops_model(store, "add", made)
    wxops_model(store, "export", "small", store.parent / "usb")
    (store.parent / "usb" / "config.json").write_bytes((store.parent / "usb" / "config.json").read_bytes() + b" ")
    refused = wxops_model(store.parent / "other", "add", store.parent / "usb", code=1)
    assert "usb/config.json: has" in refused.output
    assert list((store.parent / "other").glob("*")) == []


def test_a_hubs_cache_of_links_is_copied_as_files_and_pickles_stay_behind(made: Path, store: Path) -> None:
    cache = store.parent / "cache"
    cache.mkdir()
    for file in made.iterdir():
        (cache / file.name).symlink_to(file)
    (cache / "pytorch_model.bin").write_bytes(b"pickle")
    (cache / ".gitattributes").write_text("x")
    wxops_model(store, "add", cache, "--name", "linked")
    assert not any(file.is_symlink() for file in (store / "linked").iterdir())
    assert {file.name for file in (store / "linked").iterdir()} == {file.name for file in made.iterdir()} | {MANIFEST}


def test_a_directory_is_described_in_place(made: Path, store: Path, key: Path) -> None:
    wxops_model(store, "export", made, store.parent / "here")
    (store.parent / "here" / "README.md").write_text("a file more")
    assert "README.md: is not in the manifest" in wxops_model(store, "verify", store.parent / "here", code=1).stdout
    wxops_model(store, "add", "--in-place", store.parent / "here", "--sign", key)
    wxops_model(store, "verify", store.parent / "here", "--trusted-key", key.with_suffix(".pub"))
    assert (store.parent / "here" / SIGNATURE).is_file() and not store.exists()


def test_a_description_that_is_broken_off_leaves_the_one_before(
    made: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the files are read: without a manifest the model would be served unchecked from then on."""
    wxops_model(store, "add", made, "--name", "kept")
    before = (store / "kept" / MANIFEST).read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wxruntime.models.manifest.hash_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
        describe_in_place(store / "kept")
    assert (store / "kept" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "{made}"], "cannot be copied to {store}: File too large"),
        (["add", "--in-place", "{here}"], "wxops-manifest.json: cannot be written: File too large"),
        (["quantize", "{made}", "{store}", "--fp8"], "weights cannot be written: "),
        (["export", "{made}", "{store}"], "cannot be copied to "),
    ],
)
def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(
    made: Path, store: Path, arguments: list[str], says: str
) -> None:
    here = Path(shutil.copytree(made, store.parent / "here"))
    describe_in_place(here)
    before = {file.name: file.read_bytes() for file in here.iterdir()}
    places = {"made": made, "here": here, "store": store}
    done = subprocess.run(
        ["prlimit", "--fsize=500", WXRUNTIME, "model", *(each.format(**places) for each in arguments)],
        env=os.environ | {"WXOPS_MODELS": str(store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and says.format(**places) in done.stderr and "Traceback" not in done.stderr
    assert {file.name: file.read_bytes() for file in here.iterdir()} == before
    assert not store.is_dir() or not list(store.iterdir())


def test_what_a_killed_command_left_half_written_is_not_described(made: Path, store: Path) -> None:
    wxops_model(store, "add", made, "--name", "left")
    (store / "left" / f".{MANIFEST}.new").touch()
    wxops_model(store, "add", "--in-place", store / "left")
    wxops_model(store, "verify", "left")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "/nowhere"], "/nowhere is not a directory"),
        (["add", "{made}", "--name", "../out"], "is no name for a model"),
        (["add", "{made}", "--name", "there"], "there is a model of this name"),
        (["verify", "nothing"], "neither a directory nor a model of"),
        (["quantize", "there", "{made}", "--fp8"], "this is there already"),
        (["quantize", "there", "{made}", "--fp8", "--calibrate", "{made}/tokenizer.json"], "this is there already"),
        (["quantize", "there", "{store}/out", "--fp8", "--text", "/nowhere"], "/nowhere: this text cannot be read"),
        (["quantize", "there", "{store}/out", "--fp8", "--text", "/dev/null"], "/dev/null: this text has 0 tokens"),
        (["quantize", "export", "{store}/out", "--fp8"], "is an export for a CPU"),
        (["eval", "export", "--smoke"], "an export for a CPU is measured as it is served"),
    ],
)
def test_a_mistake_is_a_sentence_and_nothing_is_begun(made: Path, store: Path, arguments: list[str], says: str) -> None:
    wxops_model(store, "add", made, "--name", "there")
    export = Path(shutil.copytree(store / "there", store / "export"))
    (export / MANIFEST).unlink()
    (export / SINGLE).rename(export / "model.onnx")
    refused = wxops_model(store, *(each.format(made=made, store=store) for each in arguments), code=1)
    assert says in refused.output and "Traceback" not in refused.output
    assert sorted(each.name for each in store.iterdir()) == ["export", "there"]


def test_a_model_is_quantized_and_the_report_lies_beside_the_manifest(made: Path, store: Path, key: Path) -> None:
    text = store.parent / "text.txt"
    text.write_text("\n".join(line for lesson in LESSONS for line in lesson) * 2)
    wxops_model(store, "add", made)
    out = store / "small-int4"
    told = as_json(store, "quantize", "small", out, "--int4", "--text", text, "--calibrate", text, "--sign", key)
    assert told["precision"] == "int4" and told["method"] == "GPTQ on text.txt"
    assert 0 < told["text"]["agreement"] <= 1 and told["text"]["perplexity_before"] > 1
    assert [verdict["passed"] is None for verdict in told["verdicts"]] == [False, False, False, False, True]
    assert json.loads((out / REPORT).read_text()) == told
    wxops_model(store, "verify", "small-int4", "--trusted-key", key.with_suffix(".pub"))
    assert [entry["precision"] for entry in as_json(store, "list")] == ["bfloat16", "int4"]
    assert (out / SINGLE).stat().st_size < (store / "small" / SINGLE).stat().st_size / 2


def test_an_evaluation_lies_beside_the_manifest_and_breaks_nothing(made: Path, store: Path) -> None:
    wxops_model(store, "add", made)
    told = as_json(store, "eval", "small", "--smoke")
    (choice,) = told["choices"]
    assert choice["asked"] == 60 and sorted(choice["subjects"]) == ["地理", "数学", "科学", "语文"]
    assert choice["accuracy"] == choice["right"] / 60 and 0 < choice["standard_error"] < 0.07
    assert json.loads((store / "small" / EVALUATION).read_text()) == told
    wxops_model(store, "verify", "small")
    assert as_json(store, "list")[0]["evaluated"]


class Oracle(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that finds the letter C likeliest, with the space that many tokenizers put before.

    With echo every other character is e times less likely; without, it has the next one only.
    """

    echoes = True

    def do_GET(self) -> None:
        self._answer({"data": [{"id": "oracle"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["model"] == "oracle"
        if self.path == "/tokenize":
            self._answer({"tokens": [ord(each) for each in asked["prompt"]]})
            return
        if asked.get("echo") and not self.echoes:
            self._answer({"error": {"message": "echo: this server has none"}}, 400)
            return
        if asked.get("echo"):
            told = [-2.0 + (each == ord("C")) for each in asked["prompt"][1:]]
            logprobs: dict[str, Any] = {"token_logprobs": [None, *told, -9.0]}
        else:
            logprobs = {"top_logprobs": [{" C": -0.1, "C": -4.0, "A": -2.0, "文": -1.0}]}
        self._answer({"choices": [{"text": " C", "logprobs": logprobs}]})

    def _answer(self, body: Any, code: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def oracle() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Oracle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_served_model_is_asked_over_completions(oracle: str, store: Path) -> None:
    text = store.parent / "text.txt"
    text.write_text("短文" * 700)
    told = as_json(store, "eval", "--url", oracle + "/v1", "--smoke", "--text", text, "--tokens", "1300")
    assert told["choices"][0]["right"] == 15, "a quarter of the answers are C"
    assert told["text"]["perplexity"] == pytest.approx(2.718281828**2), "the token that was generated does not count"
    assert told["text"]["tokens"] == 1299
    assert told["how"] == f"over {oracle}, model oracle"


def test_a_server_without_echo_is_asked_by_its_likeliest_next_tokens_and_for_no_perplexity(
    oracle: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Oracle, "echoes", False)
    told = as_json(store, "eval", "--url", oracle, "--smoke")
    assert told["choices"][0]["right"] == 15 and "since it has no echo" in told["how"]
    text = store.parent / "text.txt"
    text.write_text("短文" * 100)
    refused = wxops_model(store, "eval", "--url", oracle, "--text", text, code=1)
    assert "refused with 400" in refused.output and "this server has none" in refused.output


def test_a_server_that_is_not_there_is_a_sentence(store: Path) -> None:
    refused = wxops_model(store, "eval", "--url", "http://127.0.0.1:9", "--smoke", code=1)
    assert "did not answer" in refused.output


def test_without_lm_eval_its_option_says_how_to_get_it(
    oracle: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    refused = wxops_model(store, "eval", "--url", oracle, "--smoke", "--lm-eval", code=1)
    assert "lm_eval is not on the path" in refused.output and "pip install 'lm-eval[api]'" in refused.output
