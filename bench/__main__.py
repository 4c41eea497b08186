"""`python -m bench [WORD...]`: all figures in one run, on a lab of its own; of the peers only those named so."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from bench import report
from bench.compare import HOSTS, compare, wire
from bench.fleet import measure
from bench.measure import BenchError, run
from bench.tools import WXOPS, tools
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET = "bench", "10.79.0.0/24"
HELP_RUNS = 10


def main() -> int:
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(HOSTS)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            print(_all(lab, Path(folder)))
    except (BenchError, WxopsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    return 0


def _all(lab: Lab, folder: Path) -> str:
    figures = compare(lab, tools(sys.argv[1:]), folder, _say)
    own = report.own_figures(wire(folder), measure(lab, folder), _help_seconds(folder))
    return f"\n{report.machine()}\n\n{report.title()}\n{report.comparison(figures)}\n\nwxops alone\n{own}"


def _help_seconds(folder: Path) -> float:
    return statistics.median(run([str(WXOPS), "--help"], folder)[0].wall for _ in range(HELP_RUNS))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
