"""Plans of upgrades for people and programs: the steps of each host in their order, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from wxops.audit.finding import Finding
from wxops.audit.plan import HostPlan
from wxops.audit.report import HostAudit
from wxops.audit.upgrades import Upgrade
from wxops.console.results import printable


def lines(plans: Sequence[HostPlan], silent: Sequence[HostAudit], color: bool) -> Iterator[str]:
    """A paragraph a host."""
    for plan in plans:
        yield from _plan(plan, color)
        yield ""
    for host in silent:
        yield f"{host.host}: no plan: {printable(host.problem)}"


def _plan(plan: HostPlan, color: bool) -> Iterator[str]:
    if plan.problem:
        yield f"{plan.host}: no plan: {plan.problem}"
    elif not plan.steps:
        yield f"{plan.host}: nothing to upgrade"
    else:
        reboot = ", one reboot" if plan.reboots else ", no reboot"
        yield f"{plan.host}: {len(plan.steps)} step{'s' if len(plan.steps) > 1 else ''}{reboot}"
    for number, step in enumerate(plan.steps, start=1):
        before = printable(step.before) or "none"
        mark = click.style("  REBOOT", fg="yellow") if color and step.reboot else "  REBOOT" if step.reboot else ""
        change = before if before == step.after else f"{before} -> {step.after}"
        yield f"  {number}. {printable(step.subject)}: {change}{mark}"
        yield f"     {printable(step.how)}"
    for finding in plan.mended:
        yield f"  mends   {finding.rule}  {printable(finding.subject)}"
    for finding in plan.remaining:
        fix = f" -> {printable(finding.fix)}" if finding.fix else ""
        yield f"  remains {finding.rule}  {printable(finding.subject)}: {printable(finding.evidence)}{fix}"


def as_json(plans: Sequence[HostPlan], silent: Sequence[HostAudit]) -> str:
    hosts = [_data(plan) for plan in plans] + [{"host": host.host, "problem": host.problem} for host in silent]
    return json.dumps(hosts, indent=2, ensure_ascii=False)


def _data(plan: HostPlan) -> dict[str, object]:
    return {
        "host": plan.host,
        "steps": [_step(step) for step in plan.steps],
        "reboots": plan.reboots,
        "mended": [_finding(finding) for finding in plan.mended],
        "remaining": [_finding(finding) for finding in plan.remaining],
        "problem": plan.problem,
    }


def _step(step: Upgrade) -> dict[str, object]:
    names = ("component", "subject", "before", "after", "how", "reboot")
    return {name: getattr(step, name) for name in names}


def _finding(finding: Finding) -> dict[str, str]:
    return {"rule": finding.rule, "subject": finding.subject, "evidence": finding.evidence, "fix": finding.fix}
