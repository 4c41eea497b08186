"""What a rule says of a thing: a verdict, the evidence for it, and the one change that would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Worst first. What was skipped or is not supported is neither good nor bad; unknown could not be determined."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    WARN = "warn"
    PASS = "pass"
    SKIPPED = "skipped"
    NOT_SUPPORTED = "not_supported"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return RANKS[self]


RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Judgement:
    """One thing judged by one rule.

    subject: what was judged, as an operator names it ("driver", "GPU 0", "torch in /opt/venv"). evidence: what was
    found, with the figures. fix: the one change that mends it; "" where nothing is to be mended.
    """

    verdict: Verdict
    subject: str
    evidence: str
    fix: str = ""


def passed(subject: str, evidence: str) -> Judgement:
    return Judgement(Verdict.PASS, subject, evidence)


def failed(subject: str, evidence: str, fix: str, certain: bool = True) -> Judgement:
    """It does not hold. certain: False where the table's row is not verified; then it is a warning, never a failure."""
    return Judgement(Verdict.FAIL if certain else Verdict.WARN, subject, evidence, fix)


def warned(subject: str, evidence: str, fix: str) -> Judgement:
    return Judgement(Verdict.WARN, subject, evidence, fix)


def skipped(subject: str, why: str) -> Judgement:
    """It does not apply here."""
    return Judgement(Verdict.SKIPPED, subject, why)


def unsupported(subject: str, why: str) -> Judgement:
    """The device or the driver cannot tell."""
    return Judgement(Verdict.NOT_SUPPORTED, subject, why)


def undetermined(subject: str, why: str, fix: str = "") -> Judgement:
    """It applies, but what it asks for could not be read."""
    return Judgement(Verdict.UNKNOWN, subject, why, fix)


@dataclass(frozen=True)
class Finding:
    """A judgement and the rule that made it."""

    rule: str
    area: str
    verdict: Verdict
    subject: str
    evidence: str
    fix: str = ""
