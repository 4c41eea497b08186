"""`python -m conformance.roles [NAME|FOLDER...]`: public roles under both engines, and where they differ.

Needs root, as every lab does, and git and pip with a way to where roles.yml says the roles are. A FOLDER (a word with a
slash) is a role of your own, with what its defaults say. WXOPS_LAB and WXOPS_LAB_SUBNET name the lab.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from conformance.roles import public
from conformance.roles.report import account_of, printed, results, table
from conformance.roles.trial import Site, Trial
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET = "roles", "10.94.0.0/24"


def main() -> int:
    wanted, home = public.roles(sys.argv[1:]), public.cache()
    public.fetch_collections(home)
    for role in wanted:
        role.fetch(home)
    kept = Path(tempfile.mkdtemp(prefix="wxops-roles-"))
    lab = Lab(os.environ.get("WXOPS_LAB", LAB), os.environ.get("WXOPS_LAB_SUBNET", SUBNET))
    trials: list[Trial] = []
    try:
        lab.down()
        (host,) = lab.up(1)
        for role in wanted:
            trials.append(Site(lab, host, role, kept / Path(role.name).name, home).trial())
            _keep(trials[-1], kept)
        print(f"\n{table(trials)}")
    except WxopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    print(f"\neverything that was told: {kept}")
    return 0


def _keep(one: Trial, kept: Path) -> None:
    """Say what differs, and write down all that was printed."""
    folder = kept / Path(one.role.name).name
    for name, text in printed(one).items():
        (folder / f"{name}.txt").write_text(text)
    (folder / "wxops.1.jsonl").write_text(results(one.ours.first))
    differs = account_of(one)
    (folder / "differs.txt").write_text(differs)
    said = one.comparison
    print(f"{one.role.name}: {said.agree} of {said.tasks} tasks agree\n{differs}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
