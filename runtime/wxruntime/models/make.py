"""A smaller model from a larger one, with the report of what that cost beside its manifest."""

from __future__ import annotations

import json
from pathlib import Path

from wxruntime.checkpoint import look_into
from wxruntime.models.calibrate import Calibrated
from wxruntime.models.loss import Sample, compare, measure
from wxruntime.models.manifest import add_file
from wxruntime.models.precision import PRECISIONS
from wxruntime.models.quantize import pick_group, quantize, refuse_rounded, require_new
from wxruntime.models.report import REPORT, Report
from wxruntime.models.scoring import pick_device
from wxruntime.models.text import read_ids, read_tokenizer


def make_smaller(
    source: Path, target: Path, name: str, sample: Sample, calibration: Path | None = None, device: str = "auto"
) -> Report:
    """name: of a precision. calibration: a text to round with in mind. Raise ModelError or CheckpointError."""
    precision, run_on = PRECISIONS[name], pick_device(device)
    # What is wrong is said now: a large model is rounded for minutes before its loss is measured.
    require_new(target)
    look_into(source)
    refuse_rounded(source)
    if sample.text:
        read_ids(sample.text, read_tokenizer(source), sample.most_tokens)
    group = pick_group(source, precision)
    rounder = Calibrated(source, calibration, precision, group, device) if calibration else None
    method = f"GPTQ on {calibration.name}" if calibration else "scales searched for the least squared error"
    sizes = quantize(source, target, precision, device=run_on, rounder=rounder)
    del rounder  # and the model in it, before the two that are measured
    text, choice = None, None
    if sample.text or sample.questions:
        text, choice = compare(measure(source, sample, device), measure(target, sample, device), sample)
    report = Report(target.name, source.resolve().name, name, method, sizes, text, choice)
    add_file(target, REPORT, (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
    return report
