"""`python -m conformance [TARGET...]`: integration targets of ansible-core under both engines, and where they differ.

Needs root, as every lab does. By default the targets of suite.py; a word that begins with - goes to ansible-playbook.
What each engine printed and told is kept in a folder that the last line names. Two of these go on at the same time when
each has a lab of its own: WXOPS_LAB and WXOPS_LAB_SUBNET name it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.compare import compare
from conformance.engines import ANSIBLE, WXOPS, Engine, Outcome, binds
from conformance.report import Tried, account_of, shown, table
from conformance.suite import TARGETS, Target, targets
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET = "conform", "10.95.0.0/24"


def main() -> int:
    flags = [word for word in sys.argv[1:] if word.startswith("-")]
    wanted = targets([word for word in sys.argv[1:] if word not in flags] or list(TARGETS))
    kept = Path(tempfile.mkdtemp(prefix="wxops-conformance-"))
    lab = Lab(os.environ.get("WXOPS_LAB") or LAB, os.environ.get("WXOPS_LAB_SUBNET") or SUBNET)
    tried = []
    try:
        lab.down()
        lab.up(2, binds())
        for target in wanted:
            tried.append(_try(lab, target, flags, kept))
            _say(tried[-1])
            (kept / "table.md").write_text(table(tried) + "\n")
        print(f"\n{table(tried)}")
    except WxopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    print(f"\neverything that was told: {kept}")
    return 0


def _try(lab: Lab, target: Target, flags: list[str], kept: Path) -> Tried:
    """A target by both engines at the same time, each on a fresh host."""
    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(_run, lab, number, engine, target, flags) for number, engine in enumerate((ANSIBLE, WXOPS))
        ]
        theirs, ours = (each.result() for each in running)
    one = Tried(target.name, theirs, ours, compare(theirs.told, ours.told))
    for name, outcome in (("ansible", theirs), ("wxops", ours)):
        (kept / f"{target.name}.{name}.txt").write_text(outcome.output)
        (kept / f"{target.name}.{name}.jsonl").write_text("".join(json.dumps(said) + "\n" for said in outcome.told))
    (kept / f"{target.name}.jsonl").write_text(account_of(one))
    return one


def _run(lab: Lab, number: int, engine: Engine, target: Target, flags: list[str]) -> Outcome:
    return engine.run(lab.reset(lab.hosts[number].name), target, flags)


def _say(one: Tried) -> None:
    said = one.comparison
    print(f"{one.name}: {said.agree} of {said.tasks} tasks agree {one.cut_off()}".rstrip(), flush=True)
    for difference in said.differences[:10]:
        print(f"  {shown(difference)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
