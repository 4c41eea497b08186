"""Scores of texts and answers are what the model's own logits say, and rounding with a text in mind loses less."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from wxruntime.models.calibrate import Calibrated
from wxruntime.models.dequantize import whole_weights
from wxruntime.models.errors import ModelError
from wxruntime.models.gptq import round_with_compensation
from wxruntime.models.loss import Sample, compare, measure
from wxruntime.models.precision import PRECISIONS
from wxruntime.models.quantize import quantize
from wxruntime.models.questions import SMOKE, Question, read_questions
from wxruntime.models.report import ChoiceLoss, Report, Sizes, TextLoss
from wxruntime.models.rounding import round_activations, round_weight, to_weight
from wxruntime.models.scoring import Scorer
from wxruntime.models.shards import tensors
from wxruntime.models.text import read_ids
from wxruntime.tiny import Recipe, make_checkpoint
from wxruntime.tiny_text import LESSONS


@pytest.fixture(scope="module")
def moe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("loss") / "moe"
    make_checkpoint(directory, Recipe(moe=True, taught=False))
    return directory


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "lessons.txt"
    path.write_text("\n".join(line for lesson in LESSONS for line in lesson) * 3)
    return path


@pytest.fixture(scope="module")
def scorer(moe: Path) -> Scorer:
    return Scorer(moe, "cpu")


@pytest.mark.parametrize(("length", "window"), [(300, 64), (320, 64), (65, 64), (64, 64), (90, 512)])
def test_every_token_but_the_first_is_scored_once(scorer: Scorer, text: Path, length: int, window: int) -> None:
    ids = read_ids(text, scorer.tokenizer, length)
    assert scorer.score_text(ids, window).tokens == length - 1


def test_a_text_in_one_window_has_the_models_own_loss(scorer: Scorer, text: Path) -> None:
    ids = read_ids(text, scorer.tokenizer, 200)
    with torch.inference_mode():
        logits = scorer.model(torch.tensor([ids])).logits[0]
    score = scorer.score_text(ids, 512)
    assert score.loss == pytest.approx(cross_entropy(logits[:-1], torch.tensor(ids[1:])).item(), rel=1e-5)
    assert torch.equal(score.likeliest, logits[:-1].argmax(dim=-1).int())
    assert score.right == int((logits[:-1].argmax(dim=-1) == torch.tensor(ids[1:])).sum())


def test_a_continuations_likelihood_is_that_of_its_tokens(scorer: Scorer) -> None:
    context, continuation = "一加一等于几？", "一加一等于二。"
    start = len(scorer.tokenizer.encode(context).ids)
    ids = scorer.tokenizer.encode(context + continuation).ids
    with torch.inference_mode():
        told = scorer.model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    expected = sum(told[at - 1, ids[at]].item() for at in range(start, len(ids)))
    short, long = scorer.likelihoods(context, ["你", continuation])
    assert long == pytest.approx(expected, rel=1e-5) and short != long


def test_calibrated_rounding_loses_less_of_what_the_layers_put_out(moe: Path, text: Path, tmp_path: Path) -> None:
    precision = PRECISIONS["int4"]
    calibrated = Calibrated(moe, text, precision, 32, "cpu")
    quantize(moe, tmp_path / "plain", precision)
    quantize(moe, tmp_path / "calibrated", precision, rounder=calibrated)
    before = measure(moe, Sample(text), "cpu")
    lost = {}
    for name in ("plain", "calibrated"):
        loss, _ = compare(before, measure(tmp_path / name, Sample(text), "cpu"), Sample(text))
        assert loss is not None
        lost[name] = 1 - loss.agreement
    assert lost["calibrated"] < lost["plain"]
    names = ("model.layers.1.self_attn.o_proj.weight", "model.layers.1.mlp.experts.0.up_proj.weight")
    plain, other = (dict(whole_weights(tmp_path / at, torch.bfloat16)) for at in ("plain", "calibrated"))
    assert [torch.equal(plain[name], other[name]) for name in names] == [False, True], "experts are rounded alone"
    assert dict(tensors(tmp_path / "calibrated"))["model.layers.0.mlp.up_proj.weight_scale"].dtype == torch.bfloat16


@pytest.mark.parametrize("name", PRECISIONS)
def test_compensation_and_search_each_lower_the_error(name: str) -> None:
    torch.manual_seed(0)
    precision, group = PRECISIONS[name], 128 if PRECISIONS[name].grouped else None
    inputs = torch.randn(1000, 256) @ torch.randn(256, 256) * torch.rand(256)
    weight = torch.randn(64, 256)

    def error(rounded: torch.Tensor) -> float:
        return (inputs @ (rounded - weight).T).square().mean().item()

    def alone(*, search: bool) -> torch.Tensor:
        return to_weight(round_weight(weight, precision, group, search=search), torch.float32)

    compensated = to_weight(round_with_compensation(weight, inputs.T @ inputs, precision, group), torch.float32)
    assert error(compensated) < 0.9 * error(alone(search=True))
    searched, plain = ((alone(search=way) - weight).square().mean() for way in (True, False))
    assert searched <= plain * (0.9 if name == "int4" else 1), "8 bits leave little to find in weights like these"


@pytest.mark.parametrize(("name", "largest"), [("fp8", 2**-4), ("int8", 1 / 254)])
def test_activations_are_rounded_token_by_token(name: str, largest: float) -> None:
    inputs = torch.stack([torch.linspace(-1, 1, 100), torch.linspace(-1000, 1000, 100), torch.zeros(100)])
    lost = (round_activations(inputs, PRECISIONS[name]) - inputs).abs().amax(dim=-1)
    assert (lost <= torch.tensor([1, 1000, 0]) * largest * 1.001).all()


def test_the_smoke_questions_are_sixty_in_four_subjects_with_answers_spread_evenly() -> None:
    questions = read_questions(SMOKE)
    assert len(questions) == 60 and len({question.subject for question in questions}) == 4
    assert {letter: sum(question.right == letter for question in questions) for letter in "ABCD"} == dict.fromkeys(
        "ABCD", 15
    )
    assert all(len(set(question.options)) == 4 for question in questions)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("val/law_val.csv", "id,question,A,B,C,D,answer\n0,问？,甲,乙,丙,丁,B\n"),
        ("test/law.csv", ",Question,A,B,C,D,Answer\n0,问？,甲,乙,丙,丁,B\n"),
    ],
)
def test_the_layouts_of_c_eval_and_cmmlu_are_read(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(text)
    assert read_questions(tmp_path) == [Question("law", "问？", ("甲", "乙", "丙", "丁"), "B")]
    assert read_questions(tmp_path)[0].prompt().endswith("题目：问？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案是：")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there are no questions"),
        ("id,question,A,B,C,D\n0,问？,甲,乙,丙,丁\n", "x.csv:2: the answer is '', not A, B, C or D"),
        ("question,A,B,C,answer\n问？,甲,乙,丙,A\n", "x.csv:2: there is no d"),
    ],
)
def test_questions_without_answers_or_options_are_refused_by_their_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ModelError, match=says):
        read_questions(tmp_path / "x.csv")


def test_a_report_says_pass_fail_or_not_measured() -> None:
    sizes = Sizes(1000, 505, 2000, 1200)
    report = Report("small", "large", "fp8", "searched", sizes, TextLoss("t", 9, 4, 10.0, 10.1, 0.5, 0.48, 0.97))
    assert [verdict.passed for verdict in report.verdicts()] == [True, False, True, False, None]
    assert "not measured right answers lost" in "\n".join(report.lines())
    asked = Report("small", "large", "fp8", "searched", sizes, None, ChoiceLoss("q", 60, 40, 39))
    assert [verdict.passed for verdict in asked.verdicts()] == [True, False, None, None, True]
    assert asked.to_json()["verdicts"][4]["value"] == pytest.approx(1 / 60)
