"""`wxops audit` at the door: wrong input is refused before a host is asked, and quiet means quiet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.audit_examples import an_audit
from wxops.audit.finding import Verdict
from wxops.audit.report import Audit
from wxops.audit.saved import to_json
from wxops.audit.shapes import shape
from wxops.cli import audit as door
from wxops.cli.main import cli, exit_code
from wxops.errors import InputError

Answer = Callable[[Audit], None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """The hosts answer with this audit; without one they must not be asked."""
    monkeypatch.setattr(door, "_audit", lambda known, given: pytest.fail("a host was asked"))
    return lambda found: monkeypatch.setattr(door, "_audit", lambda known, given: found)


def wxops(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = exit_code(lambda: cli.main(["audit", "-i", "localhost,", *words], standalone_mode=False))
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("target", ["/", "{tmp}", "{tmp}/gone/audit.json", ""])
def test_an_output_that_cannot_be_written_is_refused_before_a_host_is_asked(
    target: str, tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = wxops(f"--json={target.format(tmp=tmp_path)}", capsys=capsys)
    assert (code, out) == (1, "") and "error: " in err and "bug" not in err


def test_a_device_is_written_to_and_not_replaced(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer(an_audit(Verdict.PASS))
    assert wxops("--json=/dev/null", "-q", capsys=capsys) == (0, "", "")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASS, 0), (Verdict.WARN, 0), (Verdict.UNKNOWN, 3)])
def test_quiet_says_nothing_when_there_is_nothing_to_act_on(
    verdict: Verdict, code: int, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(an_audit(verdict))
    found, out, _ = wxops("-q", capsys=capsys)
    assert (found, bool(out)) == (code, verdict is not Verdict.PASS)


def test_drift_is_told_beside_a_document_on_standard_output(
    tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "before.json").write_text(to_json(an_audit(Verdict.PASS)))
    answer(an_audit(Verdict.FAIL))
    code, out, err = wxops("--json", "--baseline", str(tmp_path / "before.json"), capsys=capsys)
    assert code == 2 and json.loads(out)["counts"]["fail"] == 1
    assert "gpu1: it matters" in err


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{bad", "it is no JSON"),
        ("[]", "no JSON object"),
        ('{"num_attention_heads": 0}', "num_attention_heads is 0"),
        ('{"num_attention_heads": "8"}', "num_attention_heads is '8'"),
    ],
)
def test_a_model_that_is_none_is_refused_with_its_file(config: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=told) as error:
        shape(str(tmp_path))
    assert "config.json" in str(error.value)


def test_the_names_in_the_help_are_known() -> None:
    assert shape("21b-a3b").name == "ernie-4.5-21b-a3b"
