"""`python -m conformance.fuzz`: random playbooks under ansible-core and wxops on fresh hosts, and where they differ.

Needs root, as every lab does. A campaign is a seed and a number of cases: the same two run the same cases. A case that
differs is made smaller and written as a playbook, which `python -m conformance.fuzz FILE` runs again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from conformance.fuzz.campaign import campaign, of_seed
from conformance.fuzz.playbooks import Case
from conformance.fuzz.report import Report
from wxops.errors import WxopsError

SAY_EVERY = 25


def main() -> int:
    asked = _asked()
    numbers = range(asked.first, asked.first + asked.cases)
    cases = of_seed(asked.seed, numbers)
    if asked.playbooks:
        texts = [Path(name).read_text() for name in asked.playbooks]
        cases = [(number, lambda text=text: Case.of(text)) for number, text in enumerate(texts)]  # type: ignore[misc]
    report = Report(Path(tempfile.mkdtemp(prefix="wxops-fuzz-")))
    started = time.monotonic()
    try:
        with campaign(asked.at_once) as running:
            for done in running.try_all(cases, asked.tries):
                said = report.take(done)
                if said:
                    print(said, flush=True)
                if report.cases % SAY_EVERY == 0:
                    print(f"{report.cases} cases, {report.clean} clean, {time.monotonic() - started:.0f} s", flush=True)
    except WxopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not asked.playbooks:
        print(f"\nseed {asked.seed}, cases {numbers.start} to {numbers.stop - 1}, {time.monotonic() - started:.0f} s")
    print(report.summary())
    print(f"what differs is in {report.kept}" if report.different else "nothing differs")
    return int(bool(report.different))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.fuzz", description=__doc__)
    parser.add_argument("playbooks", nargs="*", help="cases as they were written down, instead of random ones")
    parser.add_argument("--cases", type=int, default=500, help="how many (500)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one (0)")
    parser.add_argument("--tries", type=int, default=40, help="to make a case that differs smaller (40)")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="how many run at the same time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
