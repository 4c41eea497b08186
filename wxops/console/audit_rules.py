"""The audit's rules for people and programs: what each checks, why, and where that is written."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from wxops.audit.rule import Rule, rules

WIDTH = 100


def lines() -> Iterator[str]:
    """A line a rule, below its area."""
    width = max(len(rule.id) for rule in rules())
    area = ""
    for rule in sorted(rules(), key=lambda rule: rule.area):
        if rule.area != area:
            yield from ([""] if area else [])
            area = rule.area
            yield area
        yield f"  {rule.id:<{width}}  {rule.severity}  {rule.title}"


def explained(rule: Rule) -> Iterator[str]:
    """All that is known of one rule."""
    yield f"{rule.id}: {rule.title}"
    told = {"area": rule.area, "severity": rule.severity, "why": rule.why, "source": rule.source}
    for name, text in told.items():
        yield from textwrap.wrap(f"{name + ':':<10}{text}", WIDTH, subsequent_indent=" " * 10)


def as_data() -> str:
    names = ("id", "area", "severity", "title", "why", "source")
    return json.dumps([{name: getattr(rule, name) for name in names} for rule in rules()], indent=2, ensure_ascii=False)
