"""`python -m bench.fleet [HOSTS...] [TOOL...]`: the campaign, by default all sizes and all tools, about 25 minutes.

One with all tools is kept in docs/evidence/bench-fleet.md, after each size.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.fleet.campaign import SIZES, TOOLS, campaign
from bench.fleet.tables import evidence, tables
from bench.measure import BenchError
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET = "bench", "10.79.0.0/24"
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "bench-fleet.md"


def main(words: list[str]) -> int:
    sizes = [int(word) for word in words if word.isdigit()] or list(SIZES)
    wanted = [word for word in words if not word.isdigit()]
    tools = [tool for tool in TOOLS if not wanted or any(tool.name.startswith(word) for word in wanted)]
    lab = Lab(LAB, SUBNET)
    found = []
    try:
        lab.down()
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            for each in campaign(lab, sizes, tools, Path(folder), _say):
                found.append(each)
                if not wanted and len(found) % len(tools) == 0:
                    EVIDENCE.write_text(evidence(tables(found)))
    except (BenchError, WxopsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
        if found:
            print(tables(found))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
