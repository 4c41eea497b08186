"""`python -m bench [WORD...]`: all figures in one run, on a lab of its own; of the peers only those named so.

A run with all peers is kept in docs/evidence/bench-provision.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from bench import report
from bench.compare import HOSTS, compare, wire
from bench.measure import BenchError, run
from bench.tools import WXOPS, tools
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET = "bench", "10.79.0.0/24"
HELP_RUNS = 10
EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence" / "bench-provision.md"


def main() -> int:
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(HOSTS)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            tables = _all(lab, Path(folder))
        print(f"\n{tables}")
        if not sys.argv[1:]:
            EVIDENCE.write_text(report.evidence(tables))
    except (BenchError, WxopsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    return 0


def _all(lab: Lab, folder: Path) -> str:
    figures = compare(lab, tools(sys.argv[1:]), folder, _say)
    return report.whole(figures, wire(folder), _help_seconds(folder))


def _help_seconds(folder: Path) -> float:
    return statistics.median(run([str(WXOPS), "--help"], folder)[0].wall for _ in range(HELP_RUNS))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
